// What stands in index.html is painted before the page's own script keeps the processor busy: a slow computer shows at once
// that something comes.
import './style.css'

const again = 5000 // ms until the page is asked for anew where its script does not come
const start = () => void import('./main').catch(() => setTimeout(() => location.reload(), again))
if (document.hidden) start()
else {
  requestAnimationFrame(() => setTimeout(start))
  setTimeout(start, 500) // a tab that is hidden meanwhile has no frames
}

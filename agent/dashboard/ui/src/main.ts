// The first script is small: the browser paints the document before it works on the rest, and the agent is asked meanwhile.
import './shell.css'
import { askEarly } from './lib/early'

askEarly('/session', '/now')

const tooLong = 300 // ms; a page in the background is not painted at all
const painted = new Promise<void>((done) => {
  requestAnimationFrame(() => setTimeout(done))
  setTimeout(done, tooLong)
})

const again = 5000 // ms until the page is asked for anew where the rest does not come
void painted
  .then(() => import('./app'))
  .then(
    ({ start }) => start(document.getElementById('page')!),
    () => setTimeout(() => location.reload(), again),
  )

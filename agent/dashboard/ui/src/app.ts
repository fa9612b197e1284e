import './style.css'
import { mount } from 'svelte'
import App from './App.svelte'

/** Shows the page in place of what stood there. */
export function start(page: HTMLElement): void {
  page.replaceChildren()
  mount(App, { target: page })
}

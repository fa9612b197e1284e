// The views there are, in the order of the navigation. The code of all but the first is loaded when they are opened, or when
// the page has nothing else to do.
import type { Component } from 'svelte'
import type { Session } from './lib/session.svelte'
import Now from './views/Now.svelte'

export interface ViewOf {
  name: string
  load: () => Promise<{ default: Component<{ detail: string }> }>
  when?: (s: Session) => boolean // it has something to show
}

const hasModel = (s: Session) => s.model !== ''

export const views: ViewOf[] = [
  { name: 'now', load: () => Promise.resolve({ default: Now }) },
  { name: 'why', load: () => import('./views/Why.svelte'), when: hasModel },
  { name: 'advice', load: () => import('./views/Advice.svelte') },
  { name: 'alarms', load: () => import('./views/Alarms.svelte') },
  { name: 'runs', load: () => import('./views/Runs.svelte') },
  { name: 'models', load: () => import('./views/Models.svelte') },
  { name: 'setup', load: () => import('./views/Setup.svelte') },
]

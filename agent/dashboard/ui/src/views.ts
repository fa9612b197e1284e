// The views there are, in the order of the navigation.
import type { Component } from 'svelte'
import type { Session } from './lib/session.svelte'
import Advice from './views/Advice.svelte'
import Alarms from './views/Alarms.svelte'
import Models from './views/Models.svelte'
import Now from './views/Now.svelte'
import Runs from './views/Runs.svelte'
import Setup from './views/Setup.svelte'
import Why from './views/Why.svelte'

export interface ViewOf {
  name: string
  show: Component<{ detail: string }>
  when?: (s: Session) => boolean // it has something to show
}

const hasModel = (s: Session) => s.model !== ''

export const views: ViewOf[] = [
  { name: 'now', show: Now },
  { name: 'why', show: Why, when: hasModel },
  { name: 'advice', show: Advice },
  { name: 'alarms', show: Alarms },
  { name: 'runs', show: Runs },
  { name: 'models', show: Models },
  { name: 'setup', show: Setup },
]

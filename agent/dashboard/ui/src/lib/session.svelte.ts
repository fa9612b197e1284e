// Who reads this page, and what they may do.
import { get, post, Refusal } from './api'

export interface User {
  name: string
  role: string
}

interface Answer extends User {
  login: boolean // there are users, and only those may use the page
}

const ranks = ['viewer', 'operator', 'engineer']

export class Session {
  ready = $state(false)
  failure = $state('')
  needsLogin = $state(false)
  machine = $state('')
  model = $state('')
  user = $state.raw<User | null>(null) // null: nobody needs to say who they are
  private role = $state('')

  async load(): Promise<void> {
    try {
      this.take(await get<Answer>('/session'))
    } catch (e) {
      if ((e as Refusal).status === 401) return
      this.failure = (e as Error).message
      setTimeout(() => void this.load(), 2000)
    }
  }

  /** Asks again who this is: a session may have ended, a role be another, the first user have been made since. */
  async check(): Promise<void> {
    try {
      this.take(await get<Answer>('/session'))
    } catch {
      /* an agent that is away has nothing to say about it */
    }
  }

  private take(a: Answer): void {
    this.role = a.role
    this.user = a.name ? { name: a.name, role: a.role } : null
    this.needsLogin = a.login && !this.user
    this.ready = !this.needsLogin
    this.failure = ''
  }

  async signIn(name: string, password: string): Promise<void> {
    this.take(await post<Answer>('/login', { name, password }))
  }

  async signOut(): Promise<void> {
    await post('/logout')
    this.expired()
  }

  /** The agent wants to know who asks. */
  expired(): void {
    this.user = null
    this.needsLogin = true
    this.ready = false
  }

  /** Whether somebody of this role may do what they are about to. */
  may(role: string): boolean {
    return ranks.indexOf(this.role) >= ranks.indexOf(role)
  }
}

export const session = new Session()

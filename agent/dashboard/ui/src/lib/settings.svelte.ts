// What the reader of this page has chosen, kept in this browser.

type Theme = 'auto' | 'light' | 'dark'

function stored(key: string): string | null {
  try {
    return localStorage.getItem('stirwatch.' + key)
  } catch {
    return null // a browser that stores nothing
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem('stirwatch.' + key, value)
  } catch {
    /* then it is chosen again next time */
  }
}

class Settings {
  #theme = $state<Theme>((stored('theme') as Theme | null) ?? 'auto')
  #sound = $state(stored('sound') === 'on')
  #system = $state(false)

  constructor() {
    const query = matchMedia('(prefers-color-scheme: dark)')
    this.#system = query.matches
    query.addEventListener('change', () => {
      this.#system = query.matches
      this.#show()
    })
    this.#show()
  }

  get dark(): boolean {
    return this.#theme === 'dark' || (this.#theme !== 'light' && this.#system)
  }

  get theme(): Theme {
    return this.#theme
  }

  set theme(t: Theme) {
    this.#theme = t
    store('theme', t)
    this.#show()
  }

  /** An alarm that nobody has acknowledged is heard. */
  get sound(): boolean {
    return this.#sound
  }

  set sound(on: boolean) {
    this.#sound = on
    store('sound', on ? 'on' : 'off')
  }

  #show(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light'
  }
}

export const settings = new Settings()

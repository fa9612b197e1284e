// Something that is asked of the agent: what came, or why not.

export class Load<T> {
  value = $state.raw<T | undefined>(undefined)
  failure = $state('')
  busy = $state(false)
  private turn = 0

  /** Asks; of two that are under way the later one counts. */
  async from(ask: () => Promise<T>): Promise<void> {
    const turn = ++this.turn
    this.busy = true
    try {
      const value = await ask()
      if (turn !== this.turn) return
      this.value = value
      this.failure = ''
    } catch (e) {
      if (turn === this.turn) this.failure = (e as Error).message
    } finally {
      if (turn === this.turn) this.busy = false
    }
  }
}

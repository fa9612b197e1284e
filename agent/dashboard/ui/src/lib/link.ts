// The stream of events from the agent, opened again for as long as the page lives.

/** What of an EventSource is used. */
export interface Stream {
  close(): void
  addEventListener(kind: string, f: (e: MessageEvent<string>) => void): void
}

export interface LinkOptions {
  open: () => Stream
  event: string // its name
  got: (data: string) => void
  lost?: () => void // called whenever a stream ends, before the next is tried
}

/** How long the agent may be silent before it is away, ms. */
export const awayAfter = 5000

const firstPause = 500
const longestPause = 5000

export class Link {
  private stream: Stream | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private pause = firstPause
  private ended = false

  constructor(private readonly opt: LinkOptions) {}

  start(): void {
    if (this.ended) return
    clearTimeout(this.timer)
    const stream = this.opt.open()
    this.stream = stream
    stream.addEventListener(this.opt.event, (e) => {
      if (stream !== this.stream) return
      this.pause = firstPause
      this.watch()
      this.opt.got(e.data)
    })
    stream.addEventListener('error', () => {
      if (stream === this.stream) this.again()
    })
    this.watch()
  }

  stop(): void {
    this.ended = true
    clearTimeout(this.timer)
    this.stream?.close()
    this.stream = undefined
  }

  /** A connection can be dead without an error, e.g. where a cable was pulled. */
  private watch(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.again(), 2 * awayAfter)
  }

  private again(): void {
    this.stream?.close()
    this.stream = undefined
    clearTimeout(this.timer)
    this.opt.lost?.()
    if (this.ended) return
    this.timer = setTimeout(() => this.start(), this.pause)
    this.pause = Math.min(2 * this.pause, longestPause)
  }
}

/** still: the agent answers, and its tick stands still. */
export type Presence = 'connecting' | 'live' | 'still' | 'away'

/** Whether the agent is there, by when the page began, when it was heard of last, and when its tick moved last, ms; 0: never. */
export function presence(now: number, began: number, heard: number, moved: number): Presence {
  if (now - Math.max(heard, began) >= awayAfter) return 'away'
  if (!heard) return 'connecting'
  return moved && now - moved >= awayAfter ? 'still' : 'live'
}

// What the agent says now, and what it said over the last minutes.
import { text } from '../text'
import * as api from './api'
import { span } from './format'
import { Link, presence, type Presence } from './link'
import { session } from './session.svelte'
import { Trace } from './trace'
import type { Now } from './types'

/** How much of the past is kept of the leading channel and of the others, s, and how finely. */
const leadSpan = 1800
const otherSpan = 600

const redraw = 250 // ms between two drawings
const soon = 100 // ms after which the past is asked for: what is now comes first

class Live {
  view = $state.raw<Now | null>(null)
  now = $state(Date.now()) // of this browser, ms
  seen = $state(0) // when the agent's tick moved last, of this browser, ms
  private heard = $state(0) // when it said anything last
  drawn = $state(0) // counts drawings: charts follow it
  back = $state('') // said for a while after the agent has come back

  private traces = new Map<string, Trace>()
  private began = $state(Date.now())
  private wasAway = false
  private tick = -1
  private asked = false // for what was before
  private link: Link | undefined
  private timer: ReturnType<typeof setInterval> | undefined
  private waiting: Now | null = null

  readonly presence: Presence = $derived(presence(this.now, this.began, this.heard, this.seen))
  /** Nothing that is shown is of now. */
  readonly away: boolean = $derived(this.presence === 'away' || this.presence === 'still')
  /** Why nothing is of now, in words. */
  readonly absence: string = $derived(this.presence === 'still' ? text.still : text.away)
  /** Seconds since the view came. */
  readonly elapsed: number = $derived(this.seen ? (this.now - this.seen) / 1000 : 0)

  start(): void {
    this.began = Date.now()
    this.link = new Link({
      open: () => new EventSource(api.streamUrl),
      event: 'now',
      got: (data) => this.take(JSON.parse(data) as Now),
      lost: () => void session.check(), // the agent ends the stream of who may not read any more
    })
    this.link.start()
    void this.first()
    this.timer = setInterval(() => this.draw(), redraw)
  }

  stop(): void {
    this.link?.stop()
    clearInterval(this.timer)
  }

  /** What the agent has said already, or says sooner than the stream comes up. */
  private async first(): Promise<void> {
    try {
      const v = await api.get<Now>('/now')
      if (this.heard) return
      this.take(v)
      this.draw()
    } catch {
      /* the stream tells what is wrong */
    }
  }

  /** The past of a channel. */
  trace(name: string): Trace {
    let s = this.traces.get(name)
    if (!s) {
      const lead = this.tracked === name
      this.traces.set(name, (s = new Trace(lead ? leadSpan : otherSpan, lead ? 0.5 : 2)))
    }
    return s
  }
  private tracked = ''

  private take(v: Now): void {
    const moved = v.tick !== this.tick
    this.tick = v.tick
    this.waiting = v
    session.machine = v.machine
    session.model = v.model ?? ''
    const at = Date.now()
    if (this.wasAway && this.view) {
      this.back = text.back(span((at - this.heard) / 1000))
      setTimeout(() => (this.back = ''), 20_000)
      this.asked = false
    }
    this.wasAway = false
    this.heard = at
    if (v.time === 0 || !moved) return
    this.seen = at
    this.tracked = v.channels?.[v.lead]?.name ?? ''
    const t = v.time / 1e9
    v.channels?.forEach((r) => this.trace(r.name).add(t, r.trusted ? r.value : null))
    if (!this.asked) {
      this.asked = true
      setTimeout(() => void this.history(v), soon)
    }
  }

  private draw(): void {
    this.now = Date.now()
    if (presence(this.now, this.began, this.heard, this.seen) === 'away') this.wasAway = true
    if (!this.waiting || this.waiting === this.view || document.hidden) return
    this.view = this.waiting
    this.drawn++
  }

  /** What was recorded before this page was opened, or while the agent was away. */
  private async history(v: Now): Promise<void> {
    const read = async (channels: string[], length: number, points: number) => {
      if (!channels.length) return
      const got = await api.series({ channel: channels.join(','), from: Math.round(v.time - length * 1e9), to: v.time, points })
      for (const s of got.series) this.trace(s.channel).addAll(api.points(s))
    }
    const others = (v.channels ?? []).map((r) => r.name).filter((name) => name !== this.tracked)
    try {
      await read(this.tracked ? [this.tracked] : [], leadSpan, 1800)
      await read(others, otherSpan, 300)
    } catch {
      /* the lines then begin with what came live; the next return of the agent asks again */
    }
  }
}

export const live = new Live()

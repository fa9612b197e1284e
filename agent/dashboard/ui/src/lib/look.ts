// What a view says, in the terms of the page: which channel is to be trusted, what is wrong, where limits are.
import { text } from '../text'
import { known, quantity } from './format'
import type { Alarm, Reading, View } from './types'

export type Trust = 'good' | 'doubtful' | 'stale'

/** A reading is stale where its value is no measurement of now: it is then never shown as one. */
export function trust(r: Reading, away: boolean): Trust {
  if (away || r.value === null || !r.trusted) return 'stale'
  return r.quality ? 'doubtful' : 'good'
}

/** Whether a value was measured that may be told as the last one: a sentinel or what is out of range never was. */
export function was(r: Reading): boolean {
  return r.value !== null && (!r.quality || r.quality.startsWith('missing'))
}

/** Seconds since a reading was measured, now that elapsed seconds have passed since the view came. */
export function age(r: Reading, elapsed: number): number | null {
  return r.age_s === null ? null : r.age_s + Math.max(0, elapsed)
}

/** The advice in a few words: what to do, and the set-point or the pace that is advised. */
export function headline(v: View): string {
  const kind = v.advice_kind ?? 'none'
  const to = []
  if ((kind === 'change' || kind === 'unreachable') && known(v.advised.set_point)) to.push(quantity(v.advised.set_point, '°C', 0))
  if (known(v.advised.pace)) to.push(text.paceOf(quantity(v.advised.pace, '%', 0)))
  const what = text.adviceKind[kind] ?? kind
  return to.length ? `${what}: ${to.join(text.or)}` : what
}

export function byRole(v: View, role: string): Reading | undefined {
  return v.channels?.find((r) => r.role === role)
}

export const unseenStates = ['unacknowledged', 'returned', 'latched']

export function unseen(a: Alarm): boolean {
  return unseenStates.includes(a.state)
}

/** What stands and is seen: acknowledged, and what waits for a reset. */
export function standing(a: Alarm): boolean {
  return a.state === 'acknowledged' || a.state === 'latched acknowledged'
}

export function named(a: Alarm): string {
  return a.subject ? `${a.code} ${a.subject}` : a.code
}

/** The alarm that a person should see to first: the agent lists what nobody has acknowledged and stands before the rest. */
export function urgent(all: Alarm[]): Alarm | undefined {
  return all.find(unseen)
}

/** The word of a priority. */
export function priorityWord(p: number): 'high' | 'medium' | 'low' {
  return p <= 1 ? 'high' : p === 2 ? 'medium' : 'low'
}

export type Verdict = 'away' | 'waiting' | 'alarm' | 'standing' | 'well'

/** In one word, how it is. */
export function verdict(v: View | null, away: boolean): Verdict {
  if (away) return 'away'
  if (!v || v.time === 0) return 'waiting'
  if (v.alarms.alarms.some(unseen)) return 'alarm'
  if (v.alarms.alarms.some(standing)) return 'standing'
  return 'well'
}

export interface Ahead {
  seconds: number
  mean: number
  lower: number
  upper: number
  stopped: number | null // what comes instead if the machine stops now
  stoppedLower: number | null
  stoppedUpper: number | null
}

/** The forecast at its longest horizon; null where there is none. */
export function ahead(v: View): Ahead | null {
  const e = v.expected
  const h = e.horizon_s ?? []
  const n = h.length - 1
  const mean = e.mean?.[n]
  const lower = e.lower?.[n]
  const upper = e.upper?.[n]
  if (n < 0 || mean == null || lower == null || upper == null) return null
  return { seconds: h[n]!, mean, lower, upper, stopped: e.stopped.mean?.[n] ?? null, stoppedLower: e.stopped.lower?.[n] ?? null, stoppedUpper: e.stopped.upper?.[n] ?? null }
}

// What moves the temperature, in parts that add up.
import type { Cause, ForecastRow, N } from './types'
import type { Points } from './trace'

export interface Part {
  name: string
  share: number
  from: N
  to: N
  unit: string
}

/** The parts of a change, the largest first; those that are too small to matter are one, so that all add up to the total. */
export function parts(causes: Cause[], total: N, rest: string, least = 0.5): { parts: Part[]; total: number } | null {
  if (total === null || !causes.length) return null
  const all: Part[] = causes.filter((c) => c.share !== null).map((c) => ({ name: c.name, share: c.share!, from: c.from, to: c.to, unit: c.unit ?? '' }))
  const shown = all.filter((p) => Math.abs(p.share) >= least).sort((a, b) => Math.abs(b.share) - Math.abs(a.share))
  const left = total - shown.reduce((sum, p) => sum + p.share, 0)
  if (Math.abs(left) >= 0.05) shown.push({ name: rest, share: left, from: null, to: null, unit: '' })
  return { parts: shown, total }
}

export interface Skill {
  count: number
  rmse: number
  persistence: number
  setPoint: number | null
  covered: number // share of what came that lay within the interval of 95 %
}

/** The newest value at or before t that is not older than oldest, s. */
export function at(p: Points, t: number, oldest: number): number | null {
  let low = 0
  let high = p.t.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (p.t[middle]! <= t) low = middle + 1
    else high = middle
  }
  const i = low - 1
  return i >= 0 && t - p.t[i]! <= oldest ? (p.v[i] ?? null) : null
}

/** How good forecasts were that have come due: against what was measured then, against "it stays as it was when the forecast was
 *  made", and against "it will be at its set-point". null where none has come due. */
export function skill(forecasts: ForecastRow[], measured: Points, setPoint: Points | null, oldest = 3): Skill | null {
  let n = 0
  let covered = 0
  let own = 0
  let stay = 0
  let goal = 0
  let goals = 0
  for (const f of forecasts) {
    const then = at(measured, f.time / 1e9, oldest)
    const made = at(measured, f.made / 1e9, oldest)
    if (f.value === undefined || then === null || made === null) continue
    n++
    own += (f.value - then) ** 2
    stay += (made - then) ** 2
    if (f.lower !== undefined && f.upper !== undefined && then >= f.lower && then <= f.upper) covered++
    const set = setPoint && at(setPoint, f.made / 1e9, 60)
    if (set) {
      goals++
      goal += (set - then) ** 2
    }
  }
  if (!n) return null
  return { count: n, rmse: Math.sqrt(own / n), persistence: Math.sqrt(stay / n), setPoint: goals === n ? Math.sqrt(goal / n) : null, covered: covered / n }
}

// The past of one channel in bounded memory: of each interval the lowest and the highest, so that no spike is lost.

export interface Points {
  t: number[] // s since the Unix epoch, rising
  v: (number | null)[] // null: not known, and a gap in the line
}

interface Bucket {
  at: number // number of the interval
  lowT: number
  low: number
  highT: number
  high: number
  gapT: number // when it was not known, NaN: never
}

export class Trace {
  private buckets: Bucket[] = []

  /** length and width in s: how much is kept, and of how long one lowest and one highest are. */
  constructor(
    readonly length: number,
    readonly width: number,
  ) {}

  /** The newest instant there is, s; NaN without any. */
  get last(): number {
    const b = this.buckets.at(-1)
    return b ? Math.max(...[b.lowT, b.highT, b.gapT].filter((t) => t === t)) : NaN
  }

  /** Adds a value; one that is older than what is there is merged into its interval. A clock that was set back starts anew. */
  add(t: number, v: number | null): void {
    if (!Number.isFinite(t)) return
    if (t < this.last - this.length) this.buckets = []
    const at = Math.floor(t / this.width)
    let i = this.buckets.length
    while (i > 0 && this.buckets[i - 1]!.at > at) i--
    let b = this.buckets[i - 1]
    if (!b || b.at !== at) {
      b = { at, lowT: NaN, low: Infinity, highT: NaN, high: -Infinity, gapT: NaN }
      this.buckets.splice(i, 0, b)
    }
    if (v === null || !Number.isFinite(v)) {
      b.gapT = t
    } else {
      if (v < b.low) [b.low, b.lowT] = [v, t]
      if (v >= b.high) [b.high, b.highT] = [v, t]
    }
    const oldest = this.buckets.at(-1)!.at - Math.ceil(this.length / this.width)
    let drop = 0
    while (this.buckets[drop]!.at < oldest) drop++
    if (drop) this.buckets.splice(0, drop)
  }

  addAll(p: Points): void {
    p.t.forEach((t, i) => this.add(t, p.v[i] ?? null))
  }

  /** Every point since from, in order of time. */
  points(from = -Infinity): Points {
    const p: Points = { t: [], v: [] }
    for (const b of this.buckets) {
      const all: [number, number | null][] = []
      if (b.lowT === b.lowT) all.push([b.lowT, b.low])
      if (b.highT === b.highT && b.highT !== b.lowT) all.push([b.highT, b.high])
      if (b.gapT === b.gapT) all.push([b.gapT, null])
      all.sort((x, y) => x[0] - y[0])
      for (const [t, v] of all) {
        if (t >= from && !(t <= p.t.at(-1)!)) {
          p.t.push(t)
          p.v.push(v)
        }
      }
    }
    return p
  }
}

/** Breaks a line where nothing came for longer than widest, s. */
export function gaps(p: Points, widest: number): Points {
  const out: Points = { t: [], v: [] }
  p.t.forEach((t, i) => {
    const before = p.t[i - 1]
    if (before !== undefined && t - before > widest) {
      out.t.push((before + t) / 2)
      out.v.push(null)
    }
    out.t.push(t)
    out.v.push(p.v[i] ?? null)
  })
  return out
}

/** Joins series over their own times to columns over one: the first is the time, where a series has no value there is undefined. */
export function join(all: { t: number[]; columns: (number | null)[][] }[]): [number[], ...(number | null | undefined)[][]] {
  const times = [...new Set(all.flatMap((s) => s.t))].sort((a, b) => a - b)
  const place = new Map(times.map((t, i) => [t, i]))
  const out: [number[], ...(number | null | undefined)[][]] = [times]
  for (const s of all) {
    for (const column of s.columns) {
      const row: (number | null | undefined)[] = new Array(times.length).fill(undefined)
      s.t.forEach((t, i) => (row[place.get(t)!] = column[i] ?? null))
      out.push(row)
    }
  }
  return out
}

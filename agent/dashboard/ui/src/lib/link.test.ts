import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Link, presence, type Stream } from './link'

class Fake implements Stream {
  static all: Fake[] = []
  closed = false
  private on: Record<string, (e: MessageEvent<string>) => void> = {}
  constructor() {
    Fake.all.push(this)
  }
  close() {
    this.closed = true
  }
  addEventListener(kind: string, f: (e: MessageEvent<string>) => void) {
    this.on[kind] = f
  }
  fire(kind: string, data = '') {
    this.on[kind]?.({ data } as MessageEvent<string>)
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  Fake.all = []
})
afterEach(() => vi.useRealTimers())

const link = (got: string[] = []) => new Link({ open: () => new Fake(), event: 'view', got: (d) => got.push(d) })

it('opens again after an error, more slowly each time, and at once again when it was well', () => {
  const got: string[] = []
  link(got).start()
  const waits = []
  for (let i = 0; i < 6; i++) {
    const n = Fake.all.length
    Fake.all.at(-1)!.fire('error')
    const from = Date.now()
    while (Fake.all.length === n) vi.advanceTimersByTime(100)
    waits.push(Date.now() - from)
  }
  expect(waits).toEqual([500, 1000, 2000, 4000, 5000, 5000])
  expect(Fake.all.slice(0, -1).every((f) => f.closed)).toBe(true)
  Fake.all.at(-1)!.fire('view', 'x')
  expect(got).toEqual(['x'])
  const n = Fake.all.length
  Fake.all.at(-1)!.fire('error')
  vi.advanceTimersByTime(500)
  expect(Fake.all.length).toBe(n + 1)
})

it('leaves a connection that is silent', () => {
  link().start()
  Fake.all[0]!.fire('view', 'x')
  vi.advanceTimersByTime(9900)
  expect(Fake.all[0]!.closed).toBe(false)
  vi.advanceTimersByTime(1000)
  expect(Fake.all[0]!.closed).toBe(true)
  expect(Fake.all.length).toBe(2)
})

it('takes nothing from a stream that it has left, nor opens one after the end', () => {
  const got: string[] = []
  const l = link(got)
  l.start()
  Fake.all[0]!.fire('error')
  Fake.all[0]!.fire('view', 'late')
  l.stop()
  vi.advanceTimersByTime(60_000)
  expect(got).toEqual([])
  expect(Fake.all.length).toBe(1)
})

it.each([
  [1000, 0, 0, 0, 'connecting'],
  [6000, 0, 0, 0, 'away'],
  [6000, 0, 5900, 0, 'live'], // nothing has been measured yet
  [6000, 0, 5900, 5900, 'live'],
  [20000, 0, 19900, 15000, 'still'],
  [20000, 0, 15000, 15000, 'away'],
] as const)('at %i, begun at %i, heard at %i and moved at %i, it is %s', (now, began, heard, moved, what) => expect(presence(now, began, heard, moved)).toBe(what))

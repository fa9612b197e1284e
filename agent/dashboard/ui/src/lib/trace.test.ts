import { describe, expect, it } from 'vitest'
import { gaps, join, Trace } from './trace'

describe('a trace', () => {
  it('keeps the spike of every interval, and where it was', () => {
    const s = new Trace(100, 1)
    for (let i = 0; i < 1000; i++) s.add(i / 100, i === 537 ? 99 : i === 561 ? -7 : 1)
    const p = s.points()
    expect(p.v[p.t.indexOf(5.37)]).toBe(99)
    expect(p.v[p.t.indexOf(5.61)]).toBe(-7)
    expect(p.t.length).toBeLessThanOrEqual(20)
  })

  it('stays in bounds however long it lives', () => {
    const s = new Trace(60, 0.5)
    for (let i = 0; i < 200_000; i++) s.add(i / 10, Math.sin(i))
    const p = s.points()
    expect(p.t.length).toBeLessThanOrEqual(3 * 121)
    expect(p.t.at(-1)! - p.t[0]!).toBeLessThanOrEqual(60.5)
    expect(p.t).toEqual([...p.t].sort((a, b) => a - b))
  })

  it('takes history that comes after what is live, once', () => {
    const s = new Trace(100, 1)
    s.add(50, 5)
    s.addAll({ t: [10, 20, 50], v: [1, 2, 5] })
    expect(s.points()).toEqual({ t: [10, 20, 50], v: [1, 2, 5] })
  })

  it('keeps what is not known as a gap', () => {
    const s = new Trace(100, 1)
    s.addAll({ t: [1, 2, 3], v: [1, null, 3] })
    s.add(4, NaN)
    expect(s.points()).toEqual({ t: [1, 2, 3, 4], v: [1, null, 3, null] })
  })

  it('starts anew where the clock was set back by more than it holds', () => {
    const s = new Trace(10, 1)
    s.add(1000, 1)
    s.add(5, 2)
    expect(s.points()).toEqual({ t: [5], v: [2] })
  })
})

it('a line breaks where nothing came', () => {
  expect(gaps({ t: [1, 2, 9], v: [1, 2, 3] }, 3)).toEqual({ t: [1, 2, 5.5, 9], v: [1, 2, null, 3] })
})

it('series over other times share one', () => {
  expect(
    join([
      { t: [1, 3], columns: [[10, 30]] },
      { t: [3, 4], columns: [[300, null]] },
    ]),
  ).toEqual([
    [1, 3, 4],
    [10, 30, undefined],
    [undefined, 300, null],
  ])
})

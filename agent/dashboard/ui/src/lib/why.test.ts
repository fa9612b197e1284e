import { expect, it } from 'vitest'
import { at, parts, skill } from './why'

it('parts add up to the total, the largest first, the small ones together', () => {
  const cause = (name: string, share: number | null) => ({ name, share, from: null, to: null })
  const p = parts([cause('settling', 0.2), cause('power', -3), cause('feed', 7), cause('path', 0.3)], 4.5, 'other')!
  expect(p.parts.map((x) => x.name)).toEqual(['feed', 'power', 'other'])
  expect(p.parts.reduce((s, x) => s + x.share, 0)).toBeCloseTo(4.5)
  expect(parts([], 4, 'other')).toBeNull()
  expect(parts([cause('a', 1)], null, 'other')).toBeNull()
})

it('finds the newest value that was known', () => {
  const p = { t: [1, 2, 5], v: [10, 20, null] }
  expect([at(p, 0.5, 3), at(p, 2, 3), at(p, 4.9, 3), at(p, 5, 3), at(p, 9, 3)]).toEqual([null, 20, 20, null, null])
})

it('judges forecasts by what came', () => {
  const measured = { t: [0, 60, 120], v: [400, 440, 460] }
  const f = (made: number, value: number) => ({ time: (made + 60) * 1e9, made: made * 1e9, value, lower: value - 5, upper: value + 5, state: 'T', horizon: '60s' })
  const s = skill([f(0, 443), f(60, 450), f(120, 470)], measured, { t: [0, 60], v: [450, 450] }, 3)!
  expect(s.count).toBe(2) // the third has not come due
  expect(s.rmse).toBeCloseTo(Math.sqrt((9 + 100) / 2))
  expect(s.persistence).toBeCloseTo(Math.sqrt((1600 + 400) / 2))
  expect(s.setPoint).toBeCloseTo(Math.sqrt((100 + 100) / 2))
  expect(s.covered).toBe(0.5)
  expect(skill([f(500, 1)], measured, null)).toBeNull()
})

import { describe, expect, it } from 'vitest'
import { age, ahead, headline, trust, urgent, verdict, was } from './look'
import type { Alarm, Reading, View } from './types'

const reading = (r: Partial<Reading>): Reading => ({ name: 'tool_temperature', unit: '°C', value: 475, age_s: 0.1, trusted: true, ...r })
const alarm = (a: Partial<Alarm>): Alarm => ({ code: 'x', state: 'unacknowledged', active: true, priority: 3, text: '', response: '', since: 0, ...a })
const view = (v: Partial<View>): View => ({
  time: 1,
  tick: 1,
  running: true,
  channels: [],
  lead: -1,
  expected: { horizon_s: null, mean: null, lower: null, upper: null, stopped: { mean: null, lower: null, upper: null } },
  change: { total: null, ahead_s: null },
  layer: -1,
  advised: { set_point: null, pace: null, predicted: null, expires_s: null },
  alarms: { time: 0, flood: false, alarms: [] },
  sources: [],
  records: 0,
  waiting: -1,
  lost: 0,
  ...v,
})

describe('a reading', () => {
  it.each([
    [reading({}), false, 'good'],
    [reading({ quality: 'out_of_specification: out_of_range' }), false, 'doubtful'],
    [reading({ quality: 'missing: stale', trusted: false }), false, 'stale'],
    [reading({ value: null, quality: 'missing: never_seen', trusted: false }), false, 'stale'],
    [reading({}), true, 'stale'],
  ] as const)('%o, away %s, is %s', (r, away, what) => expect(trust(r, away)).toBe(what))

  it('was measured, or never was', () => {
    expect(was(reading({ quality: 'missing: stale', trusted: false }))).toBe(true)
    expect(was(reading({ quality: 'failure: sentinel', value: -2, trusted: false }))).toBe(false)
    expect(was(reading({ value: null, quality: 'missing: never_seen' }))).toBe(false)
  })

  it('grows older while nothing comes', () => {
    expect(age(reading({ age_s: 2 }), 3)).toBe(5)
    expect(age(reading({ age_s: 2 }), -1)).toBe(2)
    expect(age(reading({ age_s: null }), 3)).toBeNull()
  })
})

describe('advice in a few words', () => {
  const advised = (set_point: number | null, pace: number | null) => ({ set_point, pace, predicted: null, expires_s: 10 })
  it.each([
    [view({}), 'No advice'],
    [view({ advice_kind: 'hold', advised: advised(475, null) }), 'Hold'],
    [view({ advice_kind: 'change', advised: advised(470, null) }), 'Change the set-point: 470\u00a0°C'],
    [view({ advice_kind: 'pace', advised: advised(475, 105) }), 'Change the pace: feed and path velocity to 105\u00a0%'],
    [view({ advice_kind: 'unreachable', advised: advised(null, null) }), 'Set-point out of reach'],
    [view({ advice_kind: 'unreachable', advised: advised(null, 110) }), 'Set-point out of reach: feed and path velocity to 110\u00a0%'],
    [view({ advice_kind: 'unreachable', advised: advised(455, 110) }), 'Set-point out of reach: 455\u00a0°C or feed and path velocity to 110\u00a0%'],
  ] as const)('%#: %s', (v, what) => expect(headline(v)).toBe(what))
})

describe('how it is', () => {
  const all = (...alarms: Alarm[]) => view({ alarms: { time: 0, flood: false, alarms } })
  it.each([
    [null, false, 'waiting'],
    [view({ time: 0 }), false, 'waiting'],
    [view({}), false, 'well'],
    [view({}), true, 'away'],
    [all(alarm({})), false, 'alarm'],
    [all(alarm({ state: 'returned', active: false })), false, 'alarm'],
    [all(alarm({ state: 'acknowledged' })), false, 'standing'],
    [all(alarm({ state: 'shelved' })), false, 'well'],
    [all(alarm({ state: 'suppressed' })), false, 'well'],
  ] as const)('%#: %s', (v, away, what) => expect(verdict(v, away)).toBe(what))

  it('leads with the first that nobody has seen', () => {
    const a = alarm({ code: 'a', state: 'acknowledged' })
    const b = alarm({ code: 'b' })
    expect(urgent([a, b, alarm({ code: 'c' })])).toBe(b)
    expect(urgent([a])).toBeUndefined()
  })
})

it('the forecast is that of the longest horizon', () => {
  const none = { mean: null, lower: null, upper: null }
  expect(ahead(view({}))).toBeNull()
  const e = { horizon_s: [10, 60], mean: [475, 480], lower: [470, 466], upper: [479, 494], stopped: none }
  expect(ahead(view({ expected: e }))).toEqual({ seconds: 60, mean: 480, lower: 466, upper: 494, stopped: null, stoppedLower: null, stoppedUpper: null })
  expect(ahead(view({ expected: { ...e, mean: [475, null] } }))).toBeNull()
})

import { expect, it } from 'vitest'
import { alarmStep, story } from './story'

it('tells an alarm that nobody has touched without a name', () => {
  const a = { time: 1, code: 'x', event: 'new job', state: 'normal', was: 'returned', active: false, priority: 2, text: 'x' }
  expect(alarmStep({ ...a, why: 'a run begins' }).who).toBe('a run begins')
  expect(alarmStep(a)).toMatchObject({ who: '', raised: false })
})

it('tells a run in order of time, and advice when it changes', () => {
  const advice = (time: number, kind: string, set_point?: number, pace?: number) => ({ time, kind, set_point, pace, expires: 0, reason: kind })
  const steps = story({
    name: 'a',
    start: 0,
    alarms: [{ time: 25, code: 'x', event: 'ack', state: 'acknowledged', was: 'unacknowledged', active: true, priority: 2, text: 'x', who: 'Ann', why: 'seen' }],
    advice: [advice(10, 'hold'), advice(20, 'hold'), advice(30, 'change', 470), advice(40, 'change', 460), advice(50, 'pace', 470, 105), advice(60, 'pace', 470, 105), advice(70, 'pace', 470, 110)],
    commands: [{ time: 15, target: 'spindle', verdict: 'refused', asked: 900, who: 'Ann', reason: 'too fast', unit: 'rpm' }],
    events: [{ time: 5, source: 'plc', kind: 'connected', text: 'connected' }],
  })
  expect(steps.map((s) => [s.time, s.kind, s.what])).toEqual([
    [5, 'event', 'connected'],
    [10, 'advice', 'hold'],
    [15, 'command', 'refused'],
    [25, 'alarm', 'ack'],
    [30, 'advice', 'change'],
    [40, 'advice', 'change'],
    [50, 'advice', 'pace'],
    [70, 'advice', 'pace'],
  ])
  expect(steps[2]).toMatchObject({ value: 900, unit: 'rpm', who: 'Ann' })
  expect(steps[3]!.who).toBe('Ann: seen')
})

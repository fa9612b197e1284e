// A run told in order of time: alarms, advice, commands, events.
import type { AlarmRow, Reopened } from './types'

export interface Step {
  time: number // ns since the Unix epoch
  kind: 'alarm' | 'advice' | 'command' | 'event'
  what: string
  text: string
  who?: string
  priority?: number
  raised?: boolean
  value?: number
  unit?: string
}

export function alarmStep(a: AlarmRow): Step {
  return { time: a.time, kind: 'alarm', what: a.event, text: a.text, who: [a.who, a.why].filter(Boolean).join(': '), priority: a.priority, raised: a.event === 'raise' }
}

/** Advice is recorded again before it expires: of the same one after another only the first is told. */
export function story(r: Reopened): Step[] {
  const steps: Step[] = r.alarms.map(alarmStep)
  let said = ''
  for (const a of [...r.advice].sort((x, y) => x.time - y.time)) {
    const asked = a.kind === 'change' ? a.set_point : a.kind === 'pace' ? a.pace : undefined
    const same = asked === undefined ? a.kind : `${a.kind} ${Math.round(asked)}`
    if (same === said) continue
    said = same
    steps.push({ time: a.time, kind: 'advice', what: a.kind, text: a.reason })
  }
  for (const c of r.commands) {
    steps.push({ time: c.time, kind: 'command', what: c.verdict, text: `${c.target}: ${c.reason}`, who: c.who, value: c.given ?? c.asked, unit: c.unit })
  }
  for (const e of r.events) steps.push({ time: e.time, kind: 'event', what: e.kind, text: e.text, who: e.source })
  return steps.sort((a, b) => a.time - b.time)
}

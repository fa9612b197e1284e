// Numbers, times and spans as people read them.

/** What stands for a number that is not known. */
export const none = '–'

/** Decimal places that a unit deserves; the rest by magnitude. */
const places: Record<string, number> = { '°C': 1, K: 1, '°F': 1, rpm: 0, '%': 0, W: 0, N: 0 }

export function known(v: number | null | undefined): v is number {
  return v !== null && v !== undefined && Number.isFinite(v)
}

/** A value of a unit without the unit: "474.9", "0.031", "1 250", with so many decimal places where they are told. Minus is the
 *  sign, not the hyphen. */
export function number(v: number | null | undefined, unit = '', digits?: number): string {
  if (!known(v)) return none
  let n = digits ?? places[unit]
  if (n === undefined) {
    const size = Math.abs(v)
    n = size >= 100 || v === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.001 ? 3 : -1
  }
  if (n < 0) return minus(v.toExponential(1))
  const text = v.toFixed(n)
  return minus(Number(text) === 0 ? text.replace('-', '') : grouped(text))
}

/** As {@link number}, with its sign always. */
export function signed(v: number | null | undefined, unit = '', digits?: number): string {
  const text = number(v, unit, digits)
  return known(v) && v > 0 && /[1-9]/.test(text) ? '+' + text : text
}

/** A value with its unit, unbreakable: "474.9 °C". */
export function quantity(v: number | null | undefined, unit: string, digits?: number): string {
  return known(v) && unit && unit !== '1' ? `${number(v, unit, digits)}\u00a0${unit}` : number(v, unit, digits)
}

function minus(text: string): string {
  return text.replace('-', '\u2212')
}

function grouped(text: string): string {
  return text.replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, '\u202f')
}

/** A span of seconds: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h". */
export function span(seconds: number | null | undefined): string {
  if (!known(seconds)) return none
  const s = Math.max(0, seconds)
  if (s < 9.95) return `${s.toFixed(1)} s`
  const whole = Math.round(s)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's')
  if (whole < 86400) return two(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min')
  return two(Math.floor(whole / 86400), 'd', Math.floor((whole % 86400) / 3600), 'h')
}

function two(a: number, unitA: string, b: number, unitB: string): string {
  return b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`
}

/** "-3:20" or "1:02:05" of seconds within a run. */
export function offset(s: number): string {
  const a = Math.abs(Math.round(s))
  const rest = `${String(Math.floor(a / 60) % 60).padStart(a >= 3600 ? 2 : 1, '0')}:${String(a % 60).padStart(2, '0')}`
  return (s < 0 && a ? '\u2212' : '') + (a >= 3600 ? `${Math.floor(a / 3600)}:` : '') + rest
}

const pad = (n: number) => String(n).padStart(2, '0')

/** An instant, ms since the Unix epoch, as the clock on the reader's wall: "14:03:07". */
export function clock(ms: number | null | undefined, seconds = true): string {
  if (!known(ms) || ms <= 0) return none
  const d = new Date(ms)
  return `${pad(d.getHours())}:${pad(d.getMinutes())}` + (seconds ? `:${pad(d.getSeconds())}` : '')
}

/** The day of an instant: "2026-11-29". */
export function day(ms: number | null | undefined): string {
  if (!known(ms) || ms <= 0) return none
  const d = new Date(ms)
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`
}

/** An instant as clock, with its day where that is another than the one of now. */
export function when(ms: number | null | undefined, now: number): string {
  if (!known(ms) || ms <= 0) return none
  return day(ms) === day(now) ? clock(ms) : `${day(ms)} ${clock(ms, false)}`
}

/** Bytes or records in few digits: "950", "12.3 k", "4.1 M". */
export function count(v: number | null | undefined): string {
  if (!known(v)) return none
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']] as const) {
    if (v >= size) return `${(v / (letter === 'k' ? 1e3 : size)).toFixed(1)} ${letter}`
  }
  return grouped(String(Math.round(v)))
}

/** "tool_temperature" as people write it: "Tool temperature". */
export function title(name: string): string {
  const words = name.replace(/[_]+/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** A sentence of the agent, which writes them without a capital. A name such as tool_temperature stays. */
export function sentence(text: string): string {
  return /^[a-z0-9]+[_.]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1)
}

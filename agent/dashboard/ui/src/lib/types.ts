// The shapes of the API, as openapi.yaml describes them. Instants are ns since the Unix epoch, null is not known.

export type N = number | null

export interface Course {
  mean: N[] | null
  lower: N[] | null
  upper: N[] | null
}

export interface Reading {
  name: string
  role?: string
  unit: string
  value: N
  age_s: N
  quality?: string
  trusted: boolean
  low?: N // what people want it to stay within
  high?: N
}

export interface Expectation extends Course {
  unit?: string
  horizon_s: number[] | null
  condition?: string
  stopped: Course
  by?: string
}

export interface Cause {
  name: string
  share: N
  from: N
  to: N
  unit?: string
}

export interface Term {
  name: string
  part: N
}

export interface Loop {
  name: string
  target: string
  mode: string
  auto_mode: string
  commands: boolean
  why: string
  goal: N
  output: N
  output_unit: string
  wanted: N
  held: N
  target_unit: string
  predicted: N
  without: N
  horizon_s: N
  accepted: N
  declined: N
}

export interface Alarm {
  code: string
  subject?: string
  state: string
  active: boolean
  priority: number // 1 is the highest
  text: string
  signals?: string
  response: string
  since: number
  raised?: number
  count?: number
  first?: string
  shelved_until?: number
  who?: string
  why?: string
}

export interface Listing {
  time: number
  flood: boolean
  alarms: Alarm[]
}

export interface Source {
  name: string
  connected: boolean
  connects: number
  bytes: number
  messages: number
  samples: number
  rejected: number
  gaps: number
  lost: number
  duplicates: number
  last_data?: string
  skew_ns: number
  last_error?: string
  last_bad?: string
  quiet_ns: number
}

export interface Lap {
  length_s: N
  number: number // since the tool began to deposit
  through: N
}

export interface Message {
  at: number
  topic?: string
  text: string
  size: number
}

export interface Port {
  path: string
  by_id?: string
  driver?: string
  usb?: string
  serial?: string
  manufacturer?: string
  product?: string
  used?: string
}

export interface Finding {
  ok: boolean
  what: string
  text: string
}

export interface View {
  time: number
  tick: number
  running: boolean
  phase?: string
  channels: Reading[] | null
  lead: number
  expected: Expectation
  outside?: string[]
  why?: string
  change: { total: N; ahead_s: N; causes?: Cause[]; terms?: Term[] }
  program?: string
  layer: number
  lap?: Lap
  next?: { event: string; in_s: N; text: string }[]
  advice?: string
  advice_kind?: string
  advised: Advised
  loops?: Loop[]
  alarms: Listing
  sources: Source[] | null
  records: number
  waiting: number
  journal_error?: string
  lost: number
}

/** Advice in numbers, °C and rpm; what is expected if it is followed and if nothing changes, where the model has a plan. */
export interface Advised {
  set_point: N
  /** Feed and path velocity together, % of what they are; null: as they are. */
  pace: N
  predicted: N
  expires_s: N
  horizon_s?: number[]
  with?: Prospect
  without?: Prospect
  ways_out?: { what: string; from: N; to: N; unit: string }[]
}

export interface Prospect {
  temperature: Course
  speed: Course
}

export interface Outlook {
  output: string
  unit: string
  horizon_s: number[]
  is: Course
  if: Course
  way: string
}

export interface Now extends View {
  machine: string
  version: string
  model?: string
  served: number
}

export interface Series {
  channel: string
  unit: string
  time: number[]
  min: N[]
  max: N[]
}

export interface Span {
  from: number
  to: number
  series: Series[]
  note?: string
}

export interface Run {
  name: string
  note?: string
  start: number
  end?: number
}

export interface AlarmRow {
  time: number
  code: string
  subject?: string
  event: string
  state: string
  was: string
  active: boolean
  priority: number
  raised?: number
  who?: string
  why?: string
  text: string
}

export interface AdviceRow {
  time: number
  kind: string
  set_point?: number
  /** % of what feed and path velocity are; of the kind pace, and of unreachable where it helps. */
  pace?: number
  predicted?: number
  expires: number
  reason: string
}

export interface CommandRow {
  time: number
  target: string
  verdict: string
  unit?: string
  asked?: number
  given?: number
  read_back?: number
  who: string
  reason: string
}

export interface EventRow {
  time: number
  source: string
  kind: string
  count?: number
  text: string
}

export interface Reopened extends Run {
  alarms: AlarmRow[]
  advice: AdviceRow[]
  commands: CommandRow[]
  events: EventRow[]
  left_out?: string
}

export interface ForecastRow {
  time: number
  state: string
  horizon: string
  value?: number
  lower?: number
  upper?: number
  made: number
}

export interface Skill {
  run: string
  output?: string
  unit?: string
  way: string
  windows: string
  held_out: boolean
  horizon_s: number
  count: number
  rmse: number
  persistence_rmse: number
  set_point_rmse?: number
  coverage_95: number
}

export interface ModelRange {
  name: string
  symbol?: string
  unit: string
  min: number
  max: number
}

export interface Parameter {
  name: string
  value: number
  std_err?: number
  unit: string
  fixed?: boolean
  text?: string
}

export interface Equation {
  name: string
  text: string
  latex: string
  mathml: string
  inputs: ModelRange[]
  outputs: ModelRange[]
  leading: number
  parameters: Parameter[]
  provenance: { learned: string; runs: { name: string; rows: number; sha256: string }[]; prior_conflict?: number }
  skill: Skill[]
  not_judged: { run: string; why: string }[]
}

export interface ModelDocument {
  name: string
  in_use: boolean
  configured: boolean
  process: string
  learned: string
  runs: { name: string; rows: number }[]
  verdict: string
  problem?: string
}

export interface ModelJob {
  kind: string
  models: string[]
  runs: string[]
  who: string
  began: number
  ended: number
  step: number
  steps: number
  text: string
  notes: string[]
  result: string
  error: string
}

export interface Note {
  at: number
  who: string
  text: string
}

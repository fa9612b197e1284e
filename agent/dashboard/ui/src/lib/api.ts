// The agent's API, as openapi.yaml describes it.
import { early, root } from './early'
import { session } from './session.svelte'
import type { Points } from './trace'
import type { Series, Span } from './types'

export const streamUrl = root + '/stream'

/** What the agent answered where it did not do what was asked. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

const busyTries = 30
const busyPause = 1000 // ms

/** Asks; what the agent has no time for now is asked again for a while, if asking does nothing. */
async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  for (let left = init.method ? 0 : busyTries; ; left--) {
    try {
      return await askOnce(path, init)
    } catch (e) {
      if (!(e instanceof Refusal) || e.status !== 503 || left <= 0) throw e
      await new Promise((done) => setTimeout(done, busyPause))
    }
  }
}

async function askOnce(path: string, init: RequestInit): Promise<Response> {
  let r: Response
  try {
    r = (init.method ? undefined : await early(path)) ?? (await fetch(root + path, { credentials: 'same-origin', ...init }))
  } catch {
    throw new Refusal(0, 'the agent does not answer')
  }
  if (!r.ok) {
    const said = await r.text()
    let message = said
    try {
      message = (JSON.parse(said) as { error: string }).error
    } catch {
      /* it is plain text then */
    }
    if (r.status === 401) session.expired()
    throw new Refusal(r.status, message || r.statusText)
  }
  return r
}

export async function get<T>(path: string): Promise<T> {
  return (await ask(path)).json() as Promise<T>
}

export async function getText(path: string): Promise<string> {
  return (await ask(path)).text()
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const r = await ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
  const said = await r.text()
  return (said ? JSON.parse(said) : undefined) as T
}

/** Both ends of every part of a series, as one line. */
export function points(s: Series): Points {
  const p: Points = { t: [], v: [] }
  s.time.forEach((ns, i) => {
    const low = s.min[i] ?? null
    const high = s.max[i] ?? null
    p.t.push(ns / 1e9)
    p.v.push(low)
    if (high !== low) {
      p.t.push(ns / 1e9)
      p.v.push(high)
    }
  })
  return p
}

export function series(query: Record<string, string | number>): Promise<Span> {
  const q = new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)]))
  return get<Span>('/series?' + q)
}

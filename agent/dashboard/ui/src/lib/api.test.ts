import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { get, post } from './api'

let asked = 0
const answers = (...statuses: number[]) =>
  vi.stubGlobal('fetch', () => {
    const status = statuses[Math.min(asked++, statuses.length - 1)]!
    return Promise.resolve(new Response(JSON.stringify(status === 200 ? { n: asked } : { error: 'busy' }), { status }))
  })

beforeEach(() => {
  vi.useFakeTimers()
  asked = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('asks again what the agent has no time for now', async () => {
  answers(503, 503, 200)
  const got = get<{ n: number }>('/series')
  await vi.runAllTimersAsync()
  expect(await got).toEqual({ n: 3 })
})

it('gives up after a while, and at once what is refused otherwise', async () => {
  answers(503)
  const never = get('/series').catch((e: Error) => e.message)
  await vi.runAllTimersAsync()
  expect(await never).toBe('busy')
  expect(asked).toBe(31)

  asked = 0
  answers(400)
  await expect(get('/series')).rejects.toThrow('busy')
  expect(asked).toBe(1)
})

it('never does twice what it was told once', async () => {
  answers(503, 200)
  await expect(post('/alarms/ack')).rejects.toThrow('busy')
  expect(asked).toBe(1)
})

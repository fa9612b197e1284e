import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { get } from './api'
import { askEarly } from './early'
import { awayAfter } from './link'

let asked: string[] = []
const answers = (...statuses: number[]) =>
  vi.stubGlobal('fetch', (path: string) => {
    asked.push(path)
    const status = statuses[Math.min(asked.length, statuses.length) - 1]!
    return Promise.resolve(new Response(JSON.stringify({ n: asked.length }), { status }))
  })

beforeEach(() => {
  vi.useFakeTimers()
  asked = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('gives what was asked early to whoever asks first', async () => {
  answers(200)
  askEarly('/now')
  expect(asked).toEqual(['./api/v1/now'])
  expect(await get('/now')).toEqual({ n: 1 })
  expect(await get('/now')).toEqual({ n: 2 })
})

it('asks again where the early answer was a refusal: somebody may have signed in since', async () => {
  answers(401, 200)
  askEarly('/now')
  expect(await get('/now')).toEqual({ n: 2 })
})

it('asks again where the early answer is no longer of now', async () => {
  answers(200)
  askEarly('/now')
  vi.advanceTimersByTime(awayAfter + 1)
  expect(await get('/now')).toEqual({ n: 2 })
})

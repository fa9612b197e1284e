import { afterEach, expect, it, vi } from 'vitest'
import { Session } from './session.svelte'

const answer = (status: number, body: unknown) => vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify(body), { status })))

afterEach(() => vi.unstubAllGlobals())

it('asks for a name as soon as there are users, and not where the agent is away', async () => {
  const s = new Session()
  answer(200, { login: false, name: '', role: 'engineer' })
  await s.load()
  expect([s.ready, s.needsLogin, s.may('engineer')]).toEqual([true, false, true])

  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('refused')))
  await s.check()
  expect([s.ready, s.needsLogin]).toEqual([true, false])

  answer(200, { login: true, name: '', role: 'nobody' })
  await s.check()
  expect([s.ready, s.needsLogin, s.may('viewer')]).toEqual([false, true, false])
})

it('takes another role of the same user', async () => {
  const s = new Session()
  answer(200, { login: true, name: 'ada', role: 'engineer' })
  await s.load()
  expect(s.may('engineer')).toBe(true)
  answer(200, { login: true, name: 'ada', role: 'viewer' })
  await s.check()
  expect([s.ready, s.may('operator'), s.may('viewer')]).toEqual([true, false, true])
})

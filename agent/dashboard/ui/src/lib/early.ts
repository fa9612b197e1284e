// What is asked of the agent while the scripts are still on their way.
import { awayAfter } from './link'

export const root = './api/v1'

const asked = new Map<string, Promise<Response | undefined>>()
let since = 0

export function askEarly(...paths: string[]): void {
  since = Date.now()
  for (const path of paths) {
    const answer = fetch(root + path, { credentials: 'same-origin' }).catch(() => undefined)
    asked.set(path, answer)
  }
}

/** The answer, for whoever asks first and soon; undefined where there is none that is still of now. */
export async function early(path: string): Promise<Response | undefined> {
  const answer = asked.get(path)
  asked.delete(path)
  if (!answer || Date.now() - since > awayAfter) return undefined
  const r = await answer
  return r?.ok ? r : undefined
}

// The sound of an alarm: two soft tones, higher and more often the more urgent it is. No file is fetched.

let context: AudioContext | undefined

const tones = [
  { hz: 880, every: 2 },
  { hz: 660, every: 6 },
  { hz: 520, every: 20 },
] as const

const of = (priority: number) => tones[Math.min(Math.max(priority, 1), 3) - 1]!

/** Seconds between two soundings of a priority. */
export function every(priority: number): number {
  return of(priority).every
}

/** Sounds once. A browser lets no page sound before somebody has touched it; then nothing is heard. */
export function sound(priority: number): void {
  context ??= new AudioContext()
  if (context.state === 'suspended') void context.resume()
  const { hz } = of(priority)
  for (const [i, f] of [hz, hz * 1.25].entries()) {
    const at = context.currentTime + i * 0.22
    const tone = context.createOscillator()
    const volume = context.createGain()
    tone.frequency.value = f
    volume.gain.setValueAtTime(0, at)
    volume.gain.linearRampToValueAtTime(0.25, at + 0.02)
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.2)
    tone.connect(volume).connect(context.destination)
    tone.start(at)
    tone.stop(at + 0.21)
  }
}

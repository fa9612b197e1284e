// Charts: what uPlot needs to draw a few lines over time in the colours of the page.
import 'uplot/dist/uPlot.min.css'
import uPlot from 'uplot'
import { clock, known, number, offset } from './format'

export interface Line {
  label: string
  ink: string // custom property, e.g. --pen
  width?: number
  dash?: number[]
  step?: boolean
  aside?: boolean // the scale does not make room for it
}

/** The area between two lines, by their places, the first line being 1. */
export interface Band {
  upper: number
  lower: number
  ink: string
}

/** A line across the chart at one value. */
export interface Level {
  value: number
  label: string
  ink: string
}

/** A line down the chart at one instant, s. */
export interface Moment {
  t: number
  label: string
  ink: string
}

export interface Drawing {
  lines: Line[]
  bands?: Band[]
  unit: string
  least?: number // smallest height of the scale, in the unit
  relative?: boolean // the time is of a run, not of a day
}

/** What changes with every drawing. */
export interface Marks {
  levels: Level[]
  moments: Moment[]
  from?: number
  to?: number
}

const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** A scale that holds low and high with room, on whole steps so that it moves seldom. */
export function scale(low: number | null, high: number | null, least: number): [number, number] {
  if (!known(low) || !known(high)) return [0, least]
  const size = Math.max(high - low, least)
  const step = 10 ** Math.floor(Math.log10(size)) / 2
  const middle = (low + high) / 2
  return [Math.floor((Math.min(low, middle - least / 2) - 0.08 * size) / step) * step, Math.ceil((Math.max(high, middle + least / 2) + 0.08 * size) / step) * step]
}

export function make(into: HTMLElement, d: Drawing, marks: () => Marks, data: uPlot.AlignedData, width: number, height: number, pointed: (index: number | null) => void): uPlot {
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize)
  const font = `${Math.round(size * 0.8)}px ${getComputedStyle(document.body).fontFamily}`
  const axis = { stroke: css('--ink-2'), font, grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false } }
  const down = (u: uPlot) => {
    const { levels, moments } = marks()
    const c = u.ctx
    const { left, top, width: w, height: h } = u.bbox
    c.save()
    c.beginPath()
    c.rect(left, top, w, h)
    c.clip()
    c.font = `${Math.round(size * 0.75 * devicePixelRatio)}px ${getComputedStyle(document.body).fontFamily}`
    c.lineWidth = devicePixelRatio
    for (const l of levels) {
      const y = Math.round(u.valToPos(l.value, 'y', true))
      c.strokeStyle = c.fillStyle = css(l.ink)
      c.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio])
      c.beginPath()
      c.moveTo(left, y)
      c.lineTo(left + w, y)
      c.stroke()
      c.textBaseline = y - top < size * 1.5 * devicePixelRatio ? 'top' : 'bottom'
      c.fillText(l.label, left + 6 * devicePixelRatio, y)
    }
    let edge = -Infinity
    for (const m of moments) {
      const x = Math.round(u.valToPos(m.t, 'x', true))
      c.strokeStyle = c.fillStyle = css(m.ink)
      c.setLineDash([])
      c.beginPath()
      c.moveTo(x, top)
      c.lineTo(x, top + h)
      c.stroke()
      const wide = c.measureText(m.label).width
      if (x + 4 > edge) {
        const beside = x + wide + 8 * devicePixelRatio > left + w ? x - wide - 4 * devicePixelRatio : x + 4 * devicePixelRatio
        c.textBaseline = 'top'
        c.fillText(m.label, beside, top + 4 * devicePixelRatio)
        edge = x + wide + 12
      }
    }
    c.restore()
  }
  return new uPlot(
    {
      width,
      height,
      legend: { show: false },
      cursor: { y: false, points: { size: 8 }, drag: { x: false, y: false } },
      scales: {
        x: {
          time: !d.relative,
          range: (_u, low, high) => {
            const m = marks()
            return [m.from ?? low, m.to ?? high]
          },
        },
        y: { range: (_u, low, high) => scale(low, high, d.least ?? 1) },
      },
      axes: [
        { ...axis, space: size * 6, size: size * 1.9, values: (_u, at) => at.map((t) => (d.relative ? offset(t) : clock(t * 1000, true))) },
        { ...axis, size: size * 3.4, values: (_u, at) => at.map((v) => number(v, d.unit).replace(/\.0$/, '')) },
      ],
      series: [
        {},
        ...d.lines.map((l) => ({
          label: l.label,
          stroke: css(l.ink),
          width: l.width ?? 2,
          dash: l.dash,
          points: { show: false },
          auto: !l.aside,
          paths: l.step ? uPlot.paths.stepped!({ align: 1 }) : undefined,
        })),
      ],
      bands: d.bands?.map((b) => ({ series: [b.upper, b.lower] as [number, number], fill: css(b.ink) })),
      hooks: { draw: [down], setCursor: [(u) => pointed(u.cursor.idx ?? null)] },
    },
    data,
    into,
  )
}

import { describe, expect, it } from 'vitest'
import { clock, count, number, quantity, sentence, signed, span, title, when } from './format'

describe('numbers', () => {
  it.each([
    [474.94, '°C', '474.9'],
    [-0.04, '°C', '0.0'],
    [-12.34, '°C', '\u221212.3'],
    [349.6, 'rpm', '350'],
    [12345.6, 'N', '12\u202f346'],
    [1234.5678, 'kN', '1\u202f235'],
    [12.345, 'N·m', '12.3'],
    [1.2345, 'N·m', '1.23'],
    [0.03127, 'mm', '0.031'],
    [0.0000312, 'm', '3.1e\u22125'],
    [0, 'mm', '0'],
    [null, '°C', '–'],
    [NaN, '°C', '–'],
    [Infinity, '°C', '–'],
  ])('%s %s is %s', (v, unit, text) => expect(number(v, unit)).toBe(text))

  it('keeps a unit beside its value, and none beside what is not known', () => {
    expect(quantity(474.94, '°C')).toBe('474.9\u00a0°C')
    expect(quantity(null, '°C')).toBe('–')
  })

  it('says the sign of what is not nothing', () => {
    expect(signed(3.21, '°C')).toBe('+3.2')
    expect(signed(-3.21, '°C')).toBe('\u22123.2')
    expect(signed(0.01, '°C')).toBe('0.0')
  })

  it('counts in few digits', () => {
    expect([950, 12345, 4123456, undefined].map(count)).toEqual(['950', '12.3 k', '4.1 M', '–'])
  })
})

describe('times', () => {
  it.each([
    [0.42, '0.4 s'],
    [9.97, '10 s'],
    [59.6, '1 min'],
    [185, '3 min 5 s'],
    [7800, '2 h 10 min'],
    [273600, '3 d 4 h'],
    [-1, '0.0 s'],
    [null, '–'],
  ])('%s s is %s', (s, text) => expect(span(s)).toBe(text))

  it('are in the zone of the reader', () => {
    const at = new Date(2026, 10, 29, 14, 3, 7).getTime()
    expect(clock(at)).toBe('14:03:07')
    expect(when(at, at + 1000)).toBe('14:03:07')
    expect(when(at, at + 86400e3)).toBe('2026-11-29 14:03')
    expect(clock(0)).toBe('–')
  })
})

it('makes words of names', () => expect(title('tool_temperature')).toBe('Tool temperature'))

it('begins a sentence', () => {
  expect(sentence('the bar binds')).toBe('The bar binds')
  expect(sentence('tool_temperature: failure')).toBe('tool_temperature: failure')
})

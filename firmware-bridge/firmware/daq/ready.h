// Time of each conversion: the fall of a ready line, by pin-change interrupt (ATmega328P section
// 13.2: PCINT18..21 are PD2..PD5).
#pragma once
#include <Arduino.h>
#include "config.h"

namespace ready {

constexpr uint8_t LINES = 4;
static volatile uint8_t fallen; // bit i: sensor i has a conversion
static volatile uint32_t fallenAt[LINES];

// note takes the lines that are low and watched. Interrupts are off. A line is not watched until
// its conversion has been read: reading a load cell makes its data line move.
static void note() {
    uint8_t low = ~PIND & PCMSK2;
    if (!low) return;
    PCMSK2 &= ~low;
    uint32_t now = micros();
    low >>= READY_PD;
    fallen |= low;
    for (uint8_t i = 0; i < LINES; i++)
        if (low & _BV(i)) fallenAt[i] = now;
}

// watch waits for the next conversion of a sensor; it may be there already.
static void watch(uint8_t sensor) {
    uint8_t keep = SREG;
    cli();
    PCMSK2 |= _BV(READY_PD + sensor);
    note();
    SREG = keep;
}

// done says that a conversion has been read. A line that stays low is held so by a fault: it is
// looked at again with resume, not at the speed of the main loop.
static void done(uint8_t sensor) {
    uint8_t keep = SREG;
    cli();
    fallen &= ~_BV(sensor);
    if (PIND & _BV(READY_PD + sensor)) watch(sensor);
    SREG = keep;
}

static void resume() {
    for (uint8_t i = 0; i < LINES; i++)
        if (FITTED[i] && !(fallen & _BV(i))) watch(i);
}

static void begin() {
    PORTD |= _BV(READY_PD) | _BV(READY_PD + 1); // pull-ups, in case a wire is off
    PCICR = _BV(PCIE2);
}

} // namespace ready

ISR(PCINT2_vect) { ready::note(); }

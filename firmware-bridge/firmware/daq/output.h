// The set-point output: PWM on D9 (timer 1, ATmega328P section 16) and a relay on D8, lent for a
// time. The lease is counted down by the interrupt of timer 2, whatever the main loop does.
#pragma once
#include <avr/interrupt.h>
#include <avr/io.h>
#include "config.h"

namespace output {

constexpr uint16_t TOP = F_CPU / PWM_HZ - 1;
static_assert(F_CPU / PWM_HZ <= 65536 && F_CPU / PWM_HZ >= 1000, "PWM_HZ must be 245 to 16000");

static volatile uint16_t leaseMs; // left; 0: safe
static volatile bool leaseEnded;  // since it was last looked at

// drop makes the output safe: PWM pin and relay low. Interrupts are off.
static inline void drop() {
    TCCR1A = _BV(WGM11); // disconnects the pin from the timer (table 16-2)
    OCR1A = 0;           // a later command does not begin with this one's duty
    PORTB &= ~(_BV(PWM_PB) | _BV(RELAY_PB));
    leaseMs = 0;
}

static void begin() {
    drop();
    DDRB |= _BV(PWM_PB) | _BV(RELAY_PB);
    ICR1 = TOP; // fast PWM up to ICR1, no prescaler (table 16-4, mode 14)
    TCCR1B = _BV(WGM13) | _BV(WGM12) | _BV(CS10);
    OCR2A = F_CPU / 64 / 1000 - 1; // timer 2: 1 kHz (section 18.11, CTC, clock / 64)
    TCCR2A = _BV(WGM21);
    TCCR2B = _BV(CS22);
    TIMSK2 = _BV(OCIE2A);
}

// lend sets duty (per mille) and relay for so long. At 0 the pin leaves the timer, which would make
// a needle of one clock in each period (section 16.9.3).
static void lend(uint16_t duty, bool relay, uint16_t ms) {
    uint8_t keep = SREG;
    cli();
    if (duty > 0) {
        OCR1A = uint32_t(TOP + 1UL) * duty / 1000 - 1;
        TCCR1A = _BV(WGM11) | _BV(COM1A1);
    } else {
        TCCR1A = _BV(WGM11);
        OCR1A = 0;
    }
    PORTB = relay ? PORTB | _BV(RELAY_PB) : PORTB & ~_BV(RELAY_PB);
    leaseMs = ms;
    leaseEnded = false;
    SREG = keep;
}

// percent is read back from the timer.
static float percent() {
    uint8_t keep = SREG;
    cli(); // two bytes by way of one register that drop uses too (section 16.3)
    uint16_t on = TCCR1A & _BV(COM1A1) ? OCR1A + 1 : 0;
    SREG = keep;
    return on * (100.0f / (TOP + 1UL));
}

// tick is called each millisecond by the interrupt.
static inline void tick() {
    if (leaseMs > 0 && --leaseMs == 0) {
        drop();
        leaseEnded = true;
    }
}

} // namespace output

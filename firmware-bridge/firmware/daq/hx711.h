// HX711 load cell amplifiers (Avia data sheet), channel A at gain 128, RATE pin high: 80 a second.
#pragma once
#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/delay.h>
#include "config.h"
#include "frame.h"

class Hx711 {
public:
    explicit Hx711(uint8_t which) : which(which) {}

    void begin() const {
        PORTD |= _BV(data());   // pull-up: a data wire that is off reads as never ready
        PORTD &= ~_BV(clock()); // low: running ("Reset and Power-Down Input": high for 60 us stops it)
        DDRD |= _BV(clock());
    }

    // read clocks out the conversion that a low data line has announced ("Serial Interface": 24
    // bits, most significant first, and a 25th pulse that chooses channel A at gain 128 and lets
    // the data line go up). newton keeps its value where there is none. It returns fault bits.
    uint8_t read(float &newton) {
        uint32_t raw = 0;
        for (uint8_t i = 0; i < 24; i++) raw = raw << 1 | pulse();
        pulse();
        if (!(PIND & _BV(data()))) return SHORT; // held down from outside
        int32_t counts = int32_t(raw << 8) >> 8;
        uint8_t fault = 0;
        if (settling > 0) {
            --settling;
            fault |= CHECK;
        }
        // Out of range it gives 800000h or 7FFFFFh ("Output Data Rate and Format").
        if (counts == -0x800000L || counts == 0x7FFFFFL) fault |= SATURATED;
        newton = (counts - ZERO[which]) * NEWTON_PER_COUNT[which];
        return fault;
    }

    void restart() { settling = SETTLING; }

private:
    // Output settles in 50 ms at 80 a second ("Key Electrical Characteristics"): 4 conversions.
    static constexpr uint8_t SETTLING = 4;
    const uint8_t which;
    uint8_t settling = SETTLING;

    uint8_t data() const { return READY_PD + 2 + which; }
    uint8_t clock() const { return CLOCK_PD + which; }

    // The clock may be high for 0.2 to 50 us: no interrupt may lengthen it.
    bool pulse() const {
        uint8_t keep = SREG;
        cli();
        PORTD |= _BV(clock());
        _delay_us(1);
        bool bit = PIND & _BV(data());
        PORTD &= ~_BV(clock());
        SREG = keep;
        _delay_us(0.5);
        return bit;
    }
};

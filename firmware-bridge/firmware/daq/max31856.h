// MAX31856 thermocouple converters (Maxim data sheet 19-7534): SPI mode 1, most significant bit
// first, at most 5 MHz. Registers as in its "Register Memory Map"; bit 7 of the address means write.
#pragma once
#include <avr/io.h>
#include "config.h"
#include "frame.h"

class Max31856 {
public:
    explicit Max31856(uint8_t which) : which(which) {}

    // beginBus sets SPI to master, mode 1, 1 MHz (ATmega328P section 19.5). D10 is an output
    // before: as an input at low level it would turn the master into a slave (section 19.3.2).
    static void beginBus() {
        PORTB |= _BV(SELECT1_PB);
        PORTC |= _BV(SELECT2_PC);
        DDRC |= _BV(SELECT2_PC);
        DDRB |= _BV(SELECT1_PB) | _BV(3) | _BV(5);
        SPCR = _BV(SPE) | _BV(MSTR) | _BV(CPHA) | _BV(SPR0);
        SPSR = 0;
    }

    void configure() {
        select(true);
        transfer(0x80 | CR0);
        transfer(CR0_VALUE);
        transfer(CR1_VALUE);
        transfer(0xFF); // MASK: the FAULT pin is not used
        select(false);
    }

    // read takes all registers at once, so that a converter that lost its settings (its supply
    // dipped, a wire came off) is not taken for a measuring one. celsius keeps its value where
    // there is none. It returns fault bits.
    uint8_t read(float &celsius) {
        uint8_t r[COUNT];
        select(true);
        transfer(CR0);
        for (uint8_t &b : r) b = transfer(0);
        select(false);
        if (r[CR0] != CR0_VALUE || r[CR1] != CR1_VALUE) {
            configure();
            return OTHER;
        }
        // Linearised temperature: 19 bits in the upper part of 24, signed, 2^-7 degrees each.
        int32_t raw = int32_t(uint32_t(r[LTCBH]) << 24 | uint32_t(r[LTCBM]) << 16 | uint16_t(r[LTCBL]) << 8) >> 13;
        uint8_t status = r[SR], fault = 0;
        if (status & 0x01) fault |= OPEN;
        if (status & 0x02) fault |= SHORT;        // input above the supply or below ground
        if (status & (0x40 | 0x80)) fault |= RANGE; // thermocouple's or cold junction's range
        if (!(fault & (OPEN | SHORT))) celsius = raw * 0.0078125f;
        return fault;
    }

private:
    enum Register : uint8_t { CR0 = 0x00, CR1 = 0x01, LTCBH = 0x0C, LTCBM = 0x0D, LTCBL = 0x0E, SR = 0x0F, COUNT = 0x10 };

    // Convert continuously (bit 7), look for an open circuit (bits 5:4 = 01, for less than 5 kohm),
    // faults go when their cause goes (bit 2 = 0), 50 or 60 Hz (bit 0).
    static constexpr uint8_t CR0_VALUE = 0x80 | 0x10 | (MAINS_50HZ ? 0x01 : 0x00);
    // One conversion, no averaging (bits 6:4 = 000), type K (bits 3:0 = 0011).
    static constexpr uint8_t CR1_VALUE = 0x03;

    const uint8_t which;

    // One bit of a constant port is set by one instruction (sbi, cbi): the interrupt that drops the
    // relay on the same port cannot be undone by it.
    void select(bool on) const {
        if (which == 0 && on) PORTB &= ~_BV(SELECT1_PB);
        else if (which == 0) PORTB |= _BV(SELECT1_PB);
        else if (on) PORTC &= ~_BV(SELECT2_PC);
        else PORTC |= _BV(SELECT2_PC);
    }

    static uint8_t transfer(uint8_t b) {
        SPDR = b;
        while (!(SPSR & _BV(SPIF))) {
        }
        return SPDR;
    }
};

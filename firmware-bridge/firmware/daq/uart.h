// The serial line: both directions through rings that interrupts empty and fill. Nothing here waits.
// ATmega328P data sheet (DS40002061), section 20: USART0.
#pragma once
#include <avr/interrupt.h>
#include <avr/io.h>
#include "config.h"

namespace uart {

// A ring of 256 bytes needs no bounds: its uint8_t positions go round by themselves.
static uint8_t txRing[256];
static volatile uint8_t txHead, txTail;

constexpr uint8_t RX_SIZE = 64;
static uint8_t rxRing[RX_SIZE];
static volatile uint8_t rxHead, rxTail;

static void begin() {
    UCSR0A = _BV(U2X0);
    UBRR0 = (F_CPU / 4 / BAUD - 1) / 2; // section 20.3.1, rounded
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00); // 8N1
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

static uint8_t room() { return uint8_t(txTail - txHead - 1); }

// put is for callers that have seen enough room; start sends what was put.
static void put(uint8_t c) {
    txRing[txHead] = c;
    txHead = uint8_t(txHead + 1);
}

static void start() { UCSR0B |= _BV(UDRIE0); }

// get is the next byte received, or -1. A byte that came damaged is 0, which no command has.
static int16_t get() {
    if (rxHead == rxTail) return -1;
    uint8_t c = rxRing[rxTail];
    rxTail = (rxTail + 1) % RX_SIZE;
    return c;
}

} // namespace uart

ISR(USART_UDRE_vect) {
    uint8_t at = uart::txTail;
    if (at == uart::txHead) {
        UCSR0B &= ~_BV(UDRIE0);
        return;
    }
    UDR0 = uart::txRing[at];
    uart::txTail = uint8_t(at + 1);
}

ISR(USART_RX_vect) {
    bool damaged = UCSR0A & (_BV(FE0) | _BV(DOR0)); // to be read before UDR0: section 20.7.4
    uint8_t c = UDR0, next = (uart::rxHead + 1) % uart::RX_SIZE;
    if (next == uart::rxTail) return; // the line lacks a byte, and its CRC will say so
    uart::rxRing[uart::rxHead] = damaged ? 0 : c;
    uart::rxHead = next;
}

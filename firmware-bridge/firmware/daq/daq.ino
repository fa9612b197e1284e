// stirwatch's data acquisition board on an Arduino Uno (ATmega328P at 16 MHz): two thermocouples,
// two load cells, one voltage, and a set-point output that falls to safe by itself. Wiring, frames
// and flashing: docs/firmware.md. What may be changed: config.h.
#include <avr/sleep.h>
#include <avr/wdt.h>
#include "config.h"
#include "uart.h"
#include "frame.h"
#include "ready.h"
#include "max31856.h"
#include "hx711.h"
#include "output.h"
#include "command.h"

constexpr uint16_t STATUS_MS = 100;       // read-back, answer and lasting faults
constexpr uint16_t DESCRIBE_MS = 1000;    // one channel in turn, and a heartbeat
constexpr uint16_t THERMOCOUPLE_MS = 250; // without a conversion (one takes 0.1 s): ask why
constexpr uint16_t LOAD_CELL_MS = 500;    // without a conversion (0.1 s at its slowest): a fault
constexpr uint32_t TOGETHER_US = 200;     // conversions so close share a frame
constexpr uint8_t ANALOG_MIN = 8;         // conversions in a mean

static Max31856 thermocouple[2] = {Max31856(0), Max31856(1)};
static Hx711 loadCell[2] = {Hx711(0), Hx711(1)};

static float value[CHANNELS];
static uint8_t lasting[ready::LINES]; // fault of a sensor that does not convert
static uint16_t lastReady[ready::LINES];

static uint8_t undescribed = 0xFF; // channels whose description is due
static_assert(CHANNELS <= 8, "undescribed has a bit for each channel");

static volatile uint16_t ticks; // ms
static volatile uint16_t analogSum;
static volatile uint8_t analogCount;
static volatile bool analogFull;

// After a watchdog reset the watchdog stays on at its shortest time (ATmega328P section 11.9.1),
// and main would come too late. The stock bootloader of an Uno clears MCUSR: the cause is 0 then.
static uint8_t resetCause __attribute__((section(".noinit")));
void keepResetCause() __attribute__((naked, used, section(".init3")));
void keepResetCause() {
    resetCause = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

ISR(TIMER2_COMPA_vect) {
    output::tick();
    ++ticks;
    ADCSRA |= _BV(ADSC);
}

ISR(ADC_vect) {
    uint16_t v = ADC;
    if (analogCount == 64) analogSum = analogCount = 0; // nobody has asked: begin anew, 64 fit
    analogSum += v;
    ++analogCount;
    if (v == 1023) analogFull = true;
}

static uint16_t now() {
    uint8_t keep = SREG;
    cli();
    uint16_t t = ticks;
    SREG = keep;
    return t;
}

// analog adds the mean since the last frame, where it is of enough conversions.
static void analog(uint8_t *fault) {
    cli();
    uint16_t sum = analogSum;
    uint8_t count = analogCount;
    bool full = analogFull;
    bool enough = FITTED[U1] && count >= ANALOG_MIN;
    if (enough) {
        analogSum = analogCount = 0;
        analogFull = false;
    }
    sei();
    if (!enough) return;
    value[U1] = sum * VOLT_PER_COUNT / count;
    fault[U1] = full ? SATURATED : value[U1] < ANALOG_OPEN_BELOW ? OPEN : 0;
}

// measure reads the sensors that have converted, the oldest first, and sends what belongs together.
static bool measure() {
    cli();
    uint8_t fallen = ready::fallen;
    uint32_t at[ready::LINES];
    for (uint8_t i = 0; i < ready::LINES; i++) at[i] = ready::fallenAt[i];
    sei();
    if (!fallen) return false;

    uint32_t first = 0;
    bool any = false;
    for (uint8_t i = 0; i < ready::LINES; i++) {
        if ((fallen & _BV(i)) && (!any || int32_t(at[i] - first) < 0)) {
            first = at[i];
            any = true;
        }
    }
    uint8_t fault[CHANNELS];
    memset(fault, NOT_NEW, sizeof fault);
    for (uint8_t i = 0; i < ready::LINES; i++) {
        if (!(fallen & _BV(i)) || at[i] - first > TOGETHER_US) continue;
        fault[i] = i < 2 ? thermocouple[i].read(value[i]) : loadCell[i - 2].read(value[i]);
        lasting[i] = 0;
        lastReady[i] = now();
        ready::done(i);
    }
    analog(fault);
    frame::data(first, value, fault);
    return true;
}

// missed looks after sensors that do not convert.
static void missed(uint8_t *fault) {
    uint16_t t = now();
    for (uint8_t i = 0; i < ready::LINES; i++) {
        if (!FITTED[i]) continue;
        uint16_t quiet = t - lastReady[i];
        if (i < 2 && quiet > THERMOCOUPLE_MS) {
            // While its input is beyond the supply the converter stands still and says so.
            uint8_t why = thermocouple[i].read(value[i]);
            lasting[i] = why ? why : uint8_t(OTHER);
            lastReady[i] = t - THERMOCOUPLE_MS - 1; // stays quiet when ms go round
        } else if (i >= 2 && quiet > LOAD_CELL_MS) {
            loadCell[i - 2].restart();
            lasting[i] = OTHER;
            lastReady[i] = t - LOAD_CELL_MS - 1;
        }
        if (lasting[i]) fault[i] = lasting[i];
    }
}

// present is the time for a frame that no conversion has made. Frames must be in order of time, so
// there is none while conversions wait.
static bool present(uint32_t &at) {
    cli();
    bool free = !ready::fallen;
    at = micros();
    sei();
    return free;
}

static void status(uint32_t at) {
    uint8_t fault[CHANNELS];
    memset(fault, NOT_NEW, sizeof fault);
    missed(fault);
    analog(fault);
    value[OUTPUT_DUTY] = output::percent();
    value[COMMAND] = command::number;
    value[REPLY] = command::reply;
    fault[OUTPUT_DUTY] = fault[COMMAND] = fault[REPLY] = 0;
    frame::data(at, value, fault);
    ready::resume();
}

void setup() {
    wdt_enable(WDTO_250MS);
    output::begin();
    uart::begin();
    uart::put(0); // ends whatever the line has heard before
    uart::start();
    ready::begin();
    Max31856::beginBus();
    for (Max31856 &t : thermocouple) t.configure();
    for (const Hx711 &c : loadCell) c.begin();
    ADMUX = _BV(REFS0); // AVcc, input 0 (section 24.9.1)
    DIDR0 = _BV(ADC0D);
    ADCSRA = _BV(ADEN) | _BV(ADIE) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0); // 125 kHz
    set_sleep_mode(SLEEP_MODE_IDLE);
    frame::heartbeat(micros(), resetCause);
    ready::resume();
}

void loop() {
    static uint16_t fed, lastStatus, lastDescribed;
    static uint8_t turn;
    uint16_t t = now();
    if (t != fed) { // only while timer 2, and with it the lease, is alive
        fed = t;
        wdt_reset();
    }

    command::poll();
    if (output::leaseEnded) {
        output::leaseEnded = false;
        command::reply = LEASE_ENDED;
        command::answered = true;
    }
    if (command::describe) {
        command::describe = false;
        undescribed = 0xFF;
    }
    while (measure()) {
    }

    uint32_t at;
    if ((command::answered || uint16_t(t - lastStatus) >= STATUS_MS) && present(at)) {
        command::answered = false;
        lastStatus = t;
        status(at);
    }
    if (uint16_t(t - lastDescribed) >= DESCRIBE_MS && present(at)) {
        lastDescribed = t;
        frame::heartbeat(at, resetCause);
        undescribed |= _BV(turn);
        turn = (turn + 1) % CHANNELS;
    }
    // Descriptions wait for room: they must not push data out.
    for (uint8_t i = 0; i < CHANNELS; i++) {
        if ((undescribed & _BV(i)) && uart::room() >= 128 + frame::DESCRIPTION_SIZE && present(at)) {
            undescribed &= ~_BV(i);
            frame::description(at, i);
        }
    }

    cli();
    if (ready::fallen || uart::rxHead != uart::rxTail || ticks != t || output::leaseEnded) {
        sei();
        return;
    }
    sleep_enable();
    sei(); // takes effect after the next instruction: nothing can come in between
    sleep_cpu();
    sleep_disable();
}

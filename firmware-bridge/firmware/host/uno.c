// uno runs the sketch on an emulated Arduino Uno (libsimavr) with models of what hangs on its pins:
// two MAX31856, two HX711, a voltage, and the set-point output. Its serial line is a pseudo terminal.
//
//     uno [-s speed] daq.elf                    real time, or speed times as fast
//     uno -o frames -t seconds daq.elf <script  as fast as it can, the line's bytes into a file
//
// The first line of output is "pty <path>"; then each change of the output pins and each reset is a
// line that begins with the time in simulated microseconds. Commands are lines on the input, a
// leading "@<ms>" puts one off to that time:
//
//     tc 1|2 <°C>        cj 1|2 <°C>      cell 1|2 <counts>      adc <mV>
//     fault <sensor> <what>   tc1, tc2: none open ovuv tcrange cjrange gone restart
//                             cell1, cell2: none gone held
//     drop <n>  flip <n>      lose, or flip a bit in, each of the next n frames
//     hang soft|hard          stop the main loop; hard: with interrupts off
//     send <text>             a line to the board, beside what comes from the terminal
//     status                  answers "status" and the counters
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <avr_adc.h>
#include <avr_extint.h>
#include <avr_ioport.h>
#include <avr_spi.h>
#include <avr_uart.h>
#include <sim_avr.h>
#include <sim_elf.h>

enum { MHZ = 16, MS = 1000 * MHZ, BAUD = 250000 };

static avr_t *avr;
static unsigned resets;

static double micros(void) { return (double)avr->cycle / MHZ; }

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

// ready_line drives PD2 to PD5. The level is told as external as well: at each write to its port the
// emulator puts a pin with a pull-up back to high.
static void ready_line(int bit, int level) {
    static avr_ioport_external_t outside = {.name = 'D', .mask = 0x3C, .value = 0x3C};
    outside.value = level ? outside.value | 1 << bit : outside.value & ~(1 << bit);
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('D'), &outside);
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), bit), level);
}

// MAX31856: SPI registers, a conversion each 98 or 82 ms, DRDY low until the result is read.

enum { CONFIG0, CONFIG1, CJTH = 0x0A, CJTL, LTCBH, LTCBM, LTCBL, SR, REGISTERS };
enum { OPEN = 0x01, OVUV = 0x02, TC_RANGE = 0x40, CJ_RANGE = 0x80 };

static struct converter {
    uint8_t reg[REGISTERS];
    int selected, begun, address;
    double celsius, junction;
    uint8_t fault; // put in, as bits of SR
    int gone;      // unplugged
    int ready;
    avr_cycle_count_t next; // end of the conversion, 0: not converting
} converter[2];

static void converter_power(struct converter *c) {
    memset(c->reg, 0, sizeof c->reg);
    c->reg[CONFIG1] = 0x03;
    c->next = 0;
    c->ready = 0;
}

static void converter_drive(int i) { ready_line(2 + i, converter[i].gone || !converter[i].ready); }

static void converter_run(int i) {
    struct converter *c = &converter[i];
    if (!(c->reg[CONFIG0] & 0x80)) {
        c->next = 0;
        return;
    }
    avr_cycle_count_t period = (c->reg[CONFIG0] & 1 ? 98 : 82) * MS;
    if (c->next == 0) c->next = avr->cycle + period;
    if (avr->cycle < c->next) return;
    c->next += period;
    c->reg[SR] = c->fault;
    if (!(c->reg[CONFIG0] & 0x30)) c->reg[SR] &= ~OPEN; // open circuit is not looked for
    if (c->celsius < -200 || c->celsius > 1372) c->reg[SR] |= TC_RANGE;
    if (c->reg[SR] & OVUV) return; // conversions stand still
    int32_t t = c->fault & OPEN ? 0x3FFFF : (int32_t)(c->celsius * 128 + (c->celsius < 0 ? -.5 : .5));
    c->reg[LTCBH] = t >> 11;
    c->reg[LTCBM] = t >> 3;
    c->reg[LTCBL] = t << 5;
    int32_t j = (int32_t)(c->junction * 64) << 2;
    c->reg[CJTH] = j >> 8;
    c->reg[CJTL] = j;
    c->ready = 1;
    converter_drive(i);
}

static void converter_select(avr_irq_t *irq, uint32_t level, void *which) {
    (void)irq;
    struct converter *c = which;
    c->selected = !level;
    c->begun = 0;
}

static void spi_byte(avr_irq_t *irq, uint32_t out, void *unused) {
    (void)irq, (void)unused;
    uint8_t in = 0xFF; // nobody drives the line
    for (int i = 0; i < 2; i++) {
        struct converter *c = &converter[i];
        if (!c->selected || c->gone) continue;
        in = 0;
        if (!c->begun) {
            c->begun = 1;
            c->address = out;
            continue;
        }
        int at = c->address & 0x0F;
        if (c->address & 0x80) {
            if (at < CJTH + 2) c->reg[at] = out;
        } else {
            in = c->reg[at];
            if (at >= LTCBH && at <= LTCBL && c->ready) {
                c->ready = 0;
                converter_drive(i);
            }
        }
        c->address = (c->address & 0x80) | ((at + 1) & 0x0F);
    }
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_INPUT), in);
}

// HX711: 24 bits and one to three pulses more, 80 conversions a second by a clock of its own.

static struct cell {
    int32_t counts, shifting;
    int bit;        // pulses since the conversion
    int gone, held; // wire off, wire at ground
    int clock, level;
    avr_cycle_count_t period, next;
} cell[2] = {{.level = 1, .period = 12500 * MHZ}, {.level = 1, .period = 12563 * MHZ}};

static void cell_drive(int i) { ready_line(4 + i, !cell[i].held && (cell[i].gone || cell[i].level)); }

static void cell_run(int i) {
    struct cell *c = &cell[i];
    if (avr->cycle < c->next) return;
    c->next += c->period;
    if (c->bit > 0 && c->bit < 25) return; // being read
    int32_t v = c->counts < -0x800000 ? -0x800000 : c->counts > 0x7FFFFF ? 0x7FFFFF : c->counts;
    c->shifting = v;
    c->bit = 0;
    c->level = 0;
    cell_drive(i);
}

static void cell_clock(avr_irq_t *irq, uint32_t level, void *which) {
    (void)irq;
    struct cell *c = which;
    int rising = level && !c->clock;
    c->clock = level != 0;
    if (!rising) return;
    c->level = c->bit < 24 ? c->shifting >> (23 - c->bit) & 1 : 1;
    c->bit++;
    cell_drive(c - cell);
}

// models runs what is due, as a cycle timer: the core sleeps no longer than to the next.
static avr_cycle_count_t models(avr_t *a, avr_cycle_count_t when, void *unused) {
    (void)when, (void)unused;
    for (int i = 0; i < 2; i++) {
        converter_run(i);
        cell_run(i);
    }
    return a->cycle + 100 * MHZ;
}

// The line. A frame is held until its delimiter, so that whole frames can be lost or damaged.

static int terminal = -1;
static FILE *file;
static uint8_t frame[512], in[4096], waiting[1 << 16];
static size_t frame_length, in_length, waiting_length;
static int to_drop, to_flip, xon = 1;
static unsigned frames, dropped, flipped, unread;
static avr_cycle_count_t next_in;

static void line_out(avr_irq_t *irq, uint32_t byte, void *unused) {
    (void)irq, (void)unused;
    frame[frame_length++] = byte;
    if (byte != 0 && frame_length < sizeof frame) return;
    size_t n = frame_length;
    frame_length = 0;
    if (n > 1) {
        frames++;
        if (to_drop > 0) {
            to_drop--, dropped++;
            return;
        }
        if (to_flip > 0) {
            uint8_t *b = &frame[frames % (n - 1)], bit = 1 << frames % 8;
            *b ^= *b == bit ? bit << 1 | bit >> 7 : bit; // never to 0
            to_flip--, flipped++;
        }
    }
    if (file) {
        fwrite(frame, 1, n, file);
    } else if (n > sizeof waiting - waiting_length) {
        unread++; // as at an adapter whose port nobody reads
    } else {
        memcpy(waiting + waiting_length, frame, n);
        waiting_length += n;
    }
}

static void line_flush(void) {
    ssize_t n = waiting_length ? write(terminal, waiting, waiting_length) : 0;
    if (n > 0) memmove(waiting, waiting + n, waiting_length -= n);
}

static void line_xon(avr_irq_t *irq, uint32_t level, void *on) {
    (void)irq;
    if (level) xon = on != NULL;
}

static void line_in(void) {
    if (in_length == 0 || !xon || avr->cycle < next_in) return;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), in[0]);
    memmove(in, in + 1, --in_length);
    next_in = avr->cycle + 10 * MHZ * 1000000 / BAUD;
}

static void feed(const char *b, size_t n) {
    if (n > sizeof in - in_length) n = sizeof in - in_length;
    memcpy(in + in_length, b, n);
    in_length += n;
}

// The output pins, read from the registers that make them.

static void watch_output(void) {
    enum { DDRB = 0x24, PORTB = 0x25, TCCR1A = 0x80, ICR1 = 0x86, OCR1A = 0x88 };
    static unsigned duty_before = -1, relay_before = -1;
    const uint8_t *r = avr->data;
    unsigned duty = r[DDRB] & r[PORTB] & 2 ? 1000 : 0, relay = r[DDRB] & r[PORTB] & 1;
    if (r[DDRB] & 2 && r[TCCR1A] & 0x80) {
        unsigned top = (r[ICR1] | r[ICR1 + 1] << 8) + 1, on = (r[OCR1A] | r[OCR1A + 1] << 8) + 1;
        duty = (on * 1000 + top / 2) / top;
    }
    // The chip takes both bytes of a 16-bit register at once (data sheet, 16.3); the emulator one after
    // the other, so that a look may fall between them. What two looks agree on is real.
    unsigned look = duty << 1 | relay;
    static unsigned look_before = -1;
    unsigned agreed = look == look_before;
    look_before = look;
    if (!agreed || (duty == duty_before && relay == relay_before)) return;
    duty_before = duty, relay_before = relay;
    say("%.0f output %u relay %u", micros(), duty, relay);
}

// A stopped main loop: the instruction that is next becomes a jump to itself, until the reset.

static enum { RUNS, HANG_SOFT, HANG_HARD } hang;
static avr_flashaddr_t patched;
static uint8_t kept[2];

static void hang_now(void) {
    if (avr->state != cpu_Running || !avr->sreg[S_I]) return; // not in an interrupt
    patched = avr->pc;
    memcpy(kept, avr->flash + patched, 2);
    memcpy(avr->flash + patched, "\xFF\xCF", 2); // rjmp .-2
    if (hang == HANG_HARD) avr->sreg[S_I] = 0;
    hang = RUNS;
    say("%.0f hang", micros());
}

static void (*mcu_reset)(avr_t *);
static int was_reset;

static void on_reset(avr_t *a) {
    mcu_reset(a);
    was_reset = 1;
}

static void after_reset(void) {
    was_reset = 0;
    if (patched) memcpy(avr->flash + patched, kept, 2);
    patched = 0;
    avr_cycle_timer_register(avr, MHZ, models, NULL); // the reset has dropped it
    for (int i = 0; i < 2; i++) {
        ready_line(2 + i, 0), ready_line(2 + i, 1), converter_drive(i);
        ready_line(4 + i, 0), ready_line(4 + i, 1), cell_drive(i);
    }
    xon = 1;
    say("%.0f reset %u", micros(), ++resets);
}

static int command(char *line) {
    char what[16] = "", arg[16] = "";
    int i = 0;
    double v = 0;
    if (sscanf(line, "tc %d %lf", &i, &v) == 2 && (i == 1 || i == 2)) {
        converter[i - 1].celsius = v;
    } else if (sscanf(line, "cj %d %lf", &i, &v) == 2 && (i == 1 || i == 2)) {
        converter[i - 1].junction = v;
    } else if (sscanf(line, "cell %d %lf", &i, &v) == 2 && (i == 1 || i == 2)) {
        cell[i - 1].counts = v;
    } else if (sscanf(line, "adc %lf", &v) == 1) {
        avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0), v);
    } else if (sscanf(line, "fault tc%d %15s", &i, what) == 2 && (i == 1 || i == 2)) {
        struct converter *c = &converter[i - 1];
        c->gone = !strcmp(what, "gone");
        c->fault = !strcmp(what, "open") ? OPEN : !strcmp(what, "ovuv") ? OVUV : !strcmp(what, "tcrange") ? TC_RANGE : !strcmp(what, "cjrange") ? CJ_RANGE : 0;
        if (!strcmp(what, "restart")) converter_power(c);
        else if (!c->gone && !c->fault && strcmp(what, "none")) return 0;
        converter_drive(i - 1);
    } else if (sscanf(line, "fault cell%d %15s", &i, what) == 2 && (i == 1 || i == 2)) {
        struct cell *c = &cell[i - 1];
        c->gone = !strcmp(what, "gone");
        c->held = !strcmp(what, "held");
        if (!c->gone && !c->held && strcmp(what, "none")) return 0;
        cell_drive(i - 1);
    } else if (sscanf(line, "drop %d", &i) == 1) {
        to_drop = i;
    } else if (sscanf(line, "flip %d", &i) == 1) {
        to_flip = i;
    } else if (sscanf(line, "hang %15s", arg) == 1) {
        hang = !strcmp(arg, "hard") ? HANG_HARD : HANG_SOFT;
    } else if (!strncmp(line, "send ", 5)) {
        feed(line + 5, strlen(line + 5));
        feed("\n", 1);
    } else if (!strcmp(line, "status")) {
        say("status at %.0f frames %u dropped %u flipped %u unread %u resets %u", micros(), frames, dropped, flipped, unread, resets);
    } else {
        return 0;
    }
    return 1;
}

static void obey(char *line) {
    if (*line && !command(line)) say("unknown command: %s", line);
}

// Commands that wait for their time, in the order of their lines.
static struct {
    avr_cycle_count_t at;
    char *line;
} later[256];
static int later_count, later_done;

static void take(char *line) {
    unsigned long ms;
    int n = 0;
    if (sscanf(line, "@%lu %n", &ms, &n) == 1 && n > 0 && later_count < 256) {
        later[later_count].at = (avr_cycle_count_t)ms * MS;
        later[later_count++].line = strdup(line + n);
    } else {
        obey(line);
    }
}

// take_lines reads what is there of the input; it returns 0 at its end.
static int take_lines(void) {
    static char held[4096];
    static size_t length;
    ssize_t n = read(0, held + length, sizeof held - 1 - length);
    if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
    length += n;
    held[length] = 0;
    char *line = held;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take(line);
    }
    length -= line - held;
    memmove(held, line, length);
    if (length == sizeof held - 1) length = 0;
    return 1;
}

static double wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

// listen_for serves input and terminal for so many seconds; it returns 0 when the input has ended.
static int listen_for(double seconds) {
    struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = terminal, .events = POLLIN}};
    struct timespec t = {.tv_nsec = seconds > 0 ? seconds * 1e9 : 0};
    if (ppoll(p, 2, &t, NULL) <= 0) return 1;
    if (p[1].revents & POLLIN) {
        char b[256];
        ssize_t n = read(terminal, b, sizeof b);
        if (n > 0) feed(b, n);
    }
    return p[0].revents ? take_lines() : 1;
}

static void sleep_not(avr_t *a, avr_cycle_count_t cycles) { (void)a, (void)cycles; }

static void open_terminal(void) {
    char path[64];
    int slave; // kept open, so that a reader may come and go
    struct termios raw;
    cfmakeraw(&raw);
    if (openpty(&terminal, &slave, path, NULL, NULL) || tcgetattr(slave, &raw)) {
        perror("pseudo terminal");
        exit(1);
    }
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    say("pty %s", path);
}

int main(int argc, char **argv) {
    double speed = 1, seconds = 0;
    const char *to = NULL;
    for (int o; (o = getopt(argc, argv, "s:t:o:")) != -1;) {
        if (o == 's') speed = atof(optarg);
        else if (o == 't') seconds = atof(optarg);
        else if (o == 'o') to = optarg;
        else return 2;
    }
    elf_firmware_t firmware = {0};
    if (optind != argc - 1 || (to && seconds <= 0) || speed <= 0 || elf_read_firmware(argv[optind], &firmware)) {
        fprintf(stderr, "usage: uno [-s speed] [-o frames -t seconds] daq.elf\n");
        return 2;
    }
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    firmware.frequency = MHZ * 1000000;
    avr_load_firmware(avr, &firmware);
    avr->vcc = avr->avcc = avr->aref = 5000;
    avr->sleep = sleep_not;
    avr->log = 0;
    mcu_reset = avr->reset;
    avr->reset = on_reset;
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    for (int i = 0; i < 2; i++) {
        avr_extint_set_strict_lvl_trig(avr, i, 0); // else a low pin is polled each cycle
        converter_power(&converter[i]);
        converter[i].celsius = converter[i].junction = 25;
        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ("BC"[i]), 2 - i), converter_select, &converter[i]);
        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), 6 + i), cell_clock, &cell[i]);
        cell[i].next = cell[i].period;
        converter_drive(i);
        cell_drive(i);
    }
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_OUTPUT), spi_byte, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), line_out, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), line_xon, &xon);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), line_xon, NULL);
    avr_cycle_timer_register(avr, MHZ, models, NULL);

    if (to) {
        file = fopen(to, "wb");
        if (!file) {
            perror(to);
            return 1;
        }
        while (take_lines()) {
        }
    } else {
        open_terminal();
        fcntl(0, F_SETFL, O_NONBLOCK);
    }

    double origin = wall();
    while (seconds <= 0 || micros() < seconds * 1e6) {
        for (avr_cycle_count_t until = avr->cycle + MS / 4; avr->cycle < until;) {
            int state = avr_run(avr);
            if (state == cpu_Done || state == cpu_Crashed) {
                say("%.0f crashed", micros());
                return 1;
            }
            line_in();
            if (hang) hang_now();
            if (was_reset) after_reset();
        }
        watch_output();
        for (; later_done < later_count && avr->cycle >= later[later_done].at; later_done++) obey(later[later_done].line);
        if (file) continue;
        line_flush();
        double ahead = origin + micros() * 1e-6 / speed - wall();
        if (ahead < -0.1) origin -= ahead; // held up: go on from here
        if (!listen_for(ahead)) break;
    }
    if (file) {
        fclose(file);
        obey((char[]){"status"});
    }
    return 0;
}

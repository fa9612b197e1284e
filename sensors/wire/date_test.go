package wire

import (
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const any = YearFirst | DayFirst | MonthFirst
	for _, c := range []struct {
		text, want string // want: RFC 3339 in UTC, or the orders it may be in
		orders     DateOrder
	}{
		{"2025-07-08T10:43:15.30Z", "2025-07-08T10:43:15.3Z", YearFirst},
		{"2025-07-08 10:43:15", "2025-07-08T08:43:15Z", YearFirst},
		{"2025-12-08 10:43:15,25", "2025-12-08T09:43:15.25Z", YearFirst},
		{"2025-07-08 10:43:15+0200", "2025-07-08T08:43:15Z", YearFirst},
		{"2025-07-08 10:43:15 +02", "2025-07-08T08:43:15Z", YearFirst},
		{"2025-07-08T10:43:15-03:30", "2025-07-08T14:13:15Z", YearFirst},
		{"2025-07-08 10:43:15 UTC", "2025-07-08T10:43:15Z", YearFirst},
		{"2025-07-08 10:43:15 gmt", "2025-07-08T10:43:15Z", YearFirst},
		{"2025-07-08 10:43 UTC+2", "2025-07-08T08:43:00Z", YearFirst},
		{"2025/07/08 10:43:15:250 Z", "2025-07-08T10:43:15.25Z", YearFirst},
		{"2025-07-08 24:00:00Z", "2025-07-09T00:00:00Z", YearFirst},
		{"2025-06-30 23:59:60Z", "2025-07-01T00:00:00Z", YearFirst},
		{"2025-7-8 1:43:15 PM Z", "2025-07-08T13:43:15Z", YearFirst},
		{"20250708T104315Z", "2025-07-08T10:43:15Z", YearFirst},
		{"20250708 10:43:15Z", "2025-07-08T10:43:15Z", YearFirst},
		{"2025-07-08", "2025-07-07T22:00:00Z", YearFirst},
		{"31.10.25 10:43:15", "2025-10-31T09:43:15Z", DayFirst},
		{"8.7.2025 10:43:15 Z", "2025-07-08T10:43:15Z", DayFirst},
		{"1.2.99 00:00:00Z", "1999-02-01T00:00:00Z", DayFirst},
		{"8 Jul 2025 10:43:15Z", "2025-07-08T10:43:15Z", DayFirst},
		{"08-JUL-25 10:43:15Z", "2025-07-08T10:43:15Z", DayFirst},
		{"July 8, 2025 12:43:15 a.m. Z", "2025-07-08T00:43:15Z", MonthFirst},
		{"25/11/2025 10:43:15Z", "2025-11-25T10:43:15Z", DayFirst},
		{"11/25/2025 12:43:15 PM Z", "2025-11-25T12:43:15Z", MonthFirst},
		{"7/8/2025 10:43:15", "", DayFirst | MonthFirst},
		{"31/12/25 10:43:15", "", DayFirst | YearFirst},
		{"07-08-25 10:43:15", "", any},
		{"29.2.2024", "2024-02-28T23:00:00Z", DayFirst},
		{"Tue Jul  8 10:43:15 2025", "2025-07-08T08:43:15Z", MonthFirst},
		{"Tue Jul  8 10:43:15 UTC 2025", "2025-07-08T10:43:15Z", MonthFirst},
		{"Tue, 08 Jul 2025 10:43:15 GMT", "2025-07-08T10:43:15Z", DayFirst},
		{"Tuesday, July 8, 2025 1:43:15 PM Z", "2025-07-08T13:43:15Z", MonthFirst},
		{"7/8/2025, 1:43:15\u202fPM", "", DayFirst | MonthFirst},
		{"11/25/2025, 1:43:15\u202fPM Z", "2025-11-25T13:43:15Z", MonthFirst},
		{"8. Okt. 2025 10:43:15", "2025-10-08T08:43:15Z", DayFirst},
		{"8. März 2025 10:43:15Z", "2025-03-08T10:43:15Z", DayFirst},
		{"8 août 2025 10:43:15Z", "2025-08-08T10:43:15Z", DayFirst},
		{"2025-07-08 10:43:15 \u22120130", "2025-07-08T12:13:15Z", YearFirst},
		{"2025-07-08T10:43:15+02:00[Europe/Berlin]", "2025-07-08T08:43:15Z", YearFirst},
		{"2025-07-08 10:43:15 CEST", "2025-07-08T08:43:15Z", YearFirst}, // as the place has it
		{"2025-10-26 02:30:00 CEST", "2025-10-26T00:30:00Z", YearFirst},
		{"2025-10-26 02:30:00 CET", "2025-10-26T01:30:00Z", YearFirst},
		{"2025-07-08 10:43:15 CET", "", YearFirst}, // there is summer time
		{"2025-07-08 10:43:15 EST", "", YearFirst},
		{"2025-07-08t10:43:15z", "2025-07-08T10:43:15Z", YearFirst},
		{"20250708104315", "2025-07-08T08:43:15Z", YearFirst},
		{"20250708104315.25Z", "2025-07-08T10:43:15.25Z", YearFirst},
		{"08.07.2025 10.43.15", "2025-07-08T08:43:15Z", DayFirst},
		{"08-JUL-25 10.43.15.500000 PM Z", "2025-07-08T22:43:15.5Z", DayFirst},
		{"25/11/2025 10h43m15s Z", "2025-11-25T10:43:15Z", DayFirst},
		{"25/11/2025 10h43", "2025-11-25T09:43:00Z", DayFirst},
		{"2025年7月8日 10時43分15秒", "2025-07-08T08:43:15Z", YearFirst},
		{"2025年7月8日 10:43:15", "2025-07-08T08:43:15Z", YearFirst},
		{"2025年07月06日(日) 10:43:15", "2025-07-06T08:43:15Z", YearFirst},
		{"2025. 7. 8. 10:43:15", "2025-07-08T08:43:15Z", YearFirst},
		{"2025.07.08. 10:43:15", "2025-07-08T08:43:15Z", YearFirst},
		{"08JUL2025:10:43:15", "2025-07-08T08:43:15Z", DayFirst},
		{"08DEC2025:10:43:15", "2025-12-08T09:43:15Z", DayFirst},
		{"08/Jul/2025:10:43:15 +0200", "2025-07-08T08:43:15Z", DayFirst},
		{"2025-07-08_10-43-15", "2025-07-08T08:43:15Z", YearFirst},
		{"2025-7-8 9:3:5", "2025-07-08T07:03:05Z", YearFirst},
		{"2025-07-08 00:43:15 AM", "2025-07-07T22:43:15Z", YearFirst},
		{"28/7/2025 10:43:15 p.\u00a0m.", "2025-07-28T20:43:15Z", DayFirst},
		{"08.07.2025 um 10:43:15 Uhr", "2025-07-08T08:43:15Z", DayFirst},
		{"July 8, 2025 at 10:43:15 AM", "2025-07-08T08:43:15Z", MonthFirst},
		{"8 juillet 2025 à 10:43:15", "2025-07-08T08:43:15Z", DayFirst},
		{"Di., 08.07.2025 10:43:15", "2025-07-08T08:43:15Z", DayFirst},
		{"mar. 8 juil. 2025 10:43:15", "2025-07-08T08:43:15Z", DayFirst},
		{"Tue Jul 08 2025 10:43:15 GMT+0200 (CEST)", "2025-07-08T08:43:15Z", MonthFirst},
		{"2025-07-08 10:43:15 (UTC+02:00)", "2025-07-08T08:43:15Z", YearFirst},
	} {
		d, ok := ParseDate([]byte(c.text))
		if !ok || d.Orders != c.orders {
			t.Errorf("%q: %v, orders %b, want %b", c.text, ok, d.Orders, c.orders)
			continue
		}
		at, ok := d.At(any, berlin)
		if got := time.Unix(0, at).UTC().Format(time.RFC3339Nano); c.want == "" && ok || c.want != "" && got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
	d, _ := ParseDate([]byte("7/8/2025 10:43:15Z"))
	day, _ := d.At(DayFirst, nil)
	month, _ := d.At(MonthFirst, nil)
	if time.Unix(0, day).UTC().Month() != 8 || time.Unix(0, month).UTC().Month() != 7 {
		t.Errorf("day first %d, month first %d", day, month)
	}
	for text, want := range map[string]time.Duration{"00:00:01": time.Second, "26:10:05.5": 26*time.Hour + 10*time.Minute + 5500*time.Millisecond, "0:00:02": 2 * time.Second,
		"1 day, 2:10:05": 26*time.Hour + 10*time.Minute + 5*time.Second, "1 02:10:05": 26*time.Hour + 10*time.Minute + 5*time.Second,
		"1.02:10:05.5": 26*time.Hour + 10*time.Minute + 5500*time.Millisecond, "1d 02:10:05": 26*time.Hour + 10*time.Minute + 5*time.Second, "59:07.5": 59*time.Minute + 7500*time.Millisecond, "0 days 00:00:01.000000": time.Second, "11:00:00 PM": 23 * time.Hour,
		"PT1M3.5S": 63500 * time.Millisecond, "PT0S": 0, "P1DT2H": 26 * time.Hour, "pt1,5s": 1500 * time.Millisecond, "P2W": 14 * 24 * time.Hour} {
		if d, ok := ParseDate([]byte(text)); !ok || d.Orders != 0 || d.Clock != want {
			t.Errorf("%q: %v %v", text, d, ok)
		}
	}
	for _, text := range []string{"", "x", "2025", "10:43", "31.4.2025", "29.2.2025", "32/13/2025", "2025-07-08 25:00:00", "2025-07-08 24:00:01", "2025-07-08 10:60:00",
		"2025-07-08 10:43:15 Europe", "10:43:15 CET", "59:61.5", "Tue 10:43:15", "Tue Tue Jul 8 2025", "1.2:10:05", "2025-07-08 10:43:15+01:00[", "2025-07-08 10:43:15 +2500", "7.8/2025", "2025-07-08x", "8 Foo 2025", "474.3", "1.2.3", "2025-07-08 13:00:00 PM", "1751971395", "10:43:15 x",
		"08.07.2025 10.43", "08.07.2025 10.43.15.", "10.43.15", "20251308104315", "25/11/2025 10h4", "10h43m15s", "P1Y", "P1M", "PT", "P1D2H", "PT1S1M", "PT1.5M3S", "PT1S2S"} {
		if d, ok := ParseDate([]byte(text)); ok {
			t.Errorf("%q is %+v", text, d)
		}
	}
	text := []byte("2025-07-08 10:43:15.30 +0200")
	if n := testing.AllocsPerRun(100, func() {
		d, _ := ParseDate(text)
		d.At(YearFirst, time.UTC)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90 s": 90 * time.Second, "1h2m3.5s": time.Hour + 2*time.Minute + 3500*time.Millisecond, "0s": 0,
		"250ms": 250 * time.Millisecond, "1 min 2 s": 62 * time.Second, "-5s": -5 * time.Second, "1d 2h": 26 * time.Hour, "1,5 h": 90 * time.Minute, "3 µs": 3 * time.Microsecond} {
		if d, ok := ParseDuration([]byte(text)); !ok || d != want {
			t.Errorf("%q: %v %v, want %v", text, d, ok, want)
		}
	}
	for _, text := range []string{"", "5", "s", "1s1m", "1.5h3m", "1y", "3 x", "P1Y", "1e3s", "201000d", "1..5s", "5 s s"} {
		if d, ok := ParseDuration([]byte(text)); ok {
			t.Errorf("%q is %v", text, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"PT1M3.5S", "P1DT2H", "1h2m3.5s", "90 s", "-1,5 min"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := ParseDuration(b); ok && (d < -maxElapsed-time.Second || d > maxElapsed+time.Second) {
			t.Fatalf("%q is %v", b, d)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"2025-07-08T10:43:15.30Z", "31.10.25 10:43", "Jul 8, 2025 1:43:15 p.m. +2", "26:10:05", "20250708T104315-0330"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := ParseDate(b)
		for o := YearFirst; ok && o <= MonthFirst; o <<= 1 {
			at, fits := d.At(o, time.UTC)
			if y := time.Unix(0, at).UTC().Year(); fits && (d.Orders&o == 0 || y < 1699 || y > 2201) {
				t.Fatalf("%q in order %b of %b is of the year %d", b, o, d.Orders, y)
			}
		}
	})
}

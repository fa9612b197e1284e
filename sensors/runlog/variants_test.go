package runlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"stirwatch/sensors/unit"
)

// variants are ways in which loggers, spreadsheets and people write one and the same run. What cannot be read rightly is
// refused, or told by what stands in refusals; nothing is read wrongly.
func TestVariantsOfOneRun(t *testing.T) {
	type R struct{ t, w, s, T float64 }
	var data []R
	pw := []float64{0, 600.5, 1213.5, 1234567.5, -1500.5, 999.5, 12345.5, 1000, 2000.5, 100000.5, -0.5, 1600}
	for i, p := range pw {
		data = append(data, R{float64(i), p, float64(300 + 100*(i%5)), 20.25 + 40*float64(i)})
	}
	group := func(x float64, digits int, th, dec string, indian bool) string {
		neg := x < 0
		s := fmt.Sprintf("%.*f", digits, math.Abs(x))
		whole, frac, _ := strings.Cut(s, ".")
		var parts []string
		n := 3
		for len(whole) > n {
			parts = append([]string{whole[len(whole)-n:]}, parts...)
			whole = whole[:len(whole)-n]
			if indian {
				n = 2
			}
		}
		parts = append([]string{whole}, parts...)
		out := strings.Join(parts, th)
		if digits > 0 {
			out += dec + frac
		}
		if neg {
			out = "-" + out
		}
		return out
	}
	H := "time [s];heater power [W];fan speed [rpm];plate temperature [°C]\n"
	rows := func(sep string, f func(r R) []string) string {
		s := ""
		for _, r := range data {
			s += strings.Join(f(r), sep) + "\n"
		}
		return s
	}
	g := func(x float64) string { return fmt.Sprintf("%v", x) }
	num := func(th, dec string, indian bool) func(r R) []string {
		return func(r R) []string {
			return []string{group(r.t, 0, th, dec, false), group(r.w, 1, th, dec, indian), group(r.s, 0, th, dec, false), group(r.T, 2, th, dec, false)}
		}
	}
	pl := func(sep string) string {
		return rows(sep, func(r R) []string {
			return []string{fmt.Sprint(r.t), fmt.Sprintf("%.1f", r.w), fmt.Sprint(r.s), fmt.Sprintf("%.2f", r.T)}
		})
	}
	HC, HT := strings.ReplaceAll(H, ";", ","), strings.ReplaceAll(H, ";", "\t")
	q := func(s string) string { return `"` + s + `"` }
	wpow := func(f func(w float64) string) string {
		return rows(";", func(r R) []string { return []string{g(r.t), f(r.w), g(r.s), fmt.Sprintf("%.2f", r.T)} })
	}
	tim := func(head string, f func(t float64) string) string {
		return strings.Replace(H, "time [s]", head, 1) + rows(";", func(r R) []string {
			return []string{f(r.t), fmt.Sprintf("%.1f", r.w), g(r.s), fmt.Sprintf("%.2f", r.T)}
		})
	}
	clock := func(base time.Time, layout string) func(t float64) string {
		return func(t float64) string { return base.Add(time.Duration(t * 1e9)).Format(layout) }
	}
	base := time.Date(2025, 11, 25, 12, 59, 55, 0, time.UTC)
	low := time.Date(2025, 7, 8, 11, 59, 55, 0, time.UTC)
	u32 := func(s string, little bool) string {
		var b []byte
		for _, r := range s {
			if little {
				b = binary.LittleEndian.AppendUint32(b, uint32(r))
			} else {
				b = binary.BigEndian.AppendUint32(b, uint32(r))
			}
		}
		return string(b)
	}
	u16 := func(s string, little bool) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			if little {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
		return string(b)
	}
	cp := func(s string) string {
		var b []byte
		for _, r := range s {
			b = append(b, byte(r))
		}
		return string(b)
	}
	P := pl(";")
	half := strings.SplitAfter(P, "\n")
	h1, h2 := strings.Join(half[:6], ""), strings.Join(half[6:], "")
	minusF := func(minus func(string) string) string {
		return wpow(func(w float64) string {
			s := fmt.Sprintf("%.1f", math.Abs(w))
			if w < 0 {
				return minus(s)
			}
			return s
		})
	}
	unitsH := func(p, s, T string) string {
		return fmt.Sprintf("time [s];heater power [%s];fan speed [%s];plate temperature [%s]\n", p, s, T)
	}
	cases := []struct{ name, text string }{
		{"plain", H + P},
		{"indian", H + rows(";", num(",", ".", true))},
		{"indian quoted comma", HC + rows(",", func(r R) []string {
			v := num(",", ".", true)(r)
			for i := range v {
				v[i] = q(v[i])
			}
			return v
		})},
		{"apostrophe", H + rows(";", num("'", ".", false))},
		{"apostrophe curly", H + rows(";", num("’", ".", false))},
		{"apostrophe curly cp1252", strings.ReplaceAll(cp(strings.ReplaceAll(H+rows(";", num("\x02", ".", false)), "°", "\u00b0")), "\x02", "\x92")},
		{"apostrophe decimal comma", H + rows(";", num("'", ",", false))},
		{"nbsp", H + rows(";", num("\u00a0", ",", false))},
		{"nbsp latin1", cp(H + rows(";", num("\u00a0", ",", false)))},
		{"thin", H + rows(";", num("\u2009", ",", false))},
		{"figure space", H + rows(";", num("\u2007", ",", false))},
		{"nnbsp point", H + rows(";", num("\u202f", ".", false))},
		{"blank", H + rows(";", num(" ", ",", false))},
		{"underscore", H + rows(";", num("_", ".", false))},
		{"german tab", HT + rows("\t", num(".", ",", false))},
		{"us tab", HT + rows("\t", num(",", ".", false))},
		{"us comma unquoted decimals only", HC + pl(",")},
		{"decimal comma quoted, comma sep", HC + rows(",", func(r R) []string {
			v := num("", ",", false)(r)
			for i := range v {
				v[i] = q(v[i])
			}
			return v
		})},
		{"german quoted all comma sep", HC + rows(",", func(r R) []string {
			v := num(".", ",", false)(r)
			for i := range v {
				v[i] = q(v[i])
			}
			return v
		})},
		{"unicode minus", H + minusF(func(s string) string { return "−" + s })},
		{"en dash minus", H + minusF(func(s string) string { return "–" + s })},
		{"minus blank", H + minusF(func(s string) string { return "- " + s })},
		{"trailing minus", H + minusF(func(s string) string { return s + "-" })},
		{"parens", H + minusF(func(s string) string { return "(" + s + ")" })},
		{"fullwidth minus", H + minusF(func(s string) string { return "－" + s })},
		{"plus sign", H + wpow(func(w float64) string { return fmt.Sprintf("%+.1f", w) })},
		{"unit in cells", H + wpow(func(w float64) string { return fmt.Sprintf("%.1f W", w) })},
		{"unit in cells glued", H + wpow(func(w float64) string { return fmt.Sprintf("%.1fW", w) })},
		{"other unit in cells", H + wpow(func(w float64) string { return fmt.Sprintf("%.4f kW", w/1000) })},
		{"exp", H + wpow(func(w float64) string { return fmt.Sprintf("%.8E", w) })},
		{"exp comma", H + rows(";", func(r R) []string {
			return []string{g(r.t), strings.ReplaceAll(fmt.Sprintf("%.8E", r.w), ".", ","), g(r.s), strings.ReplaceAll(fmt.Sprintf("%.2f", r.T), ".", ",")}
		})},
		{"fortran D", H + wpow(func(w float64) string { return strings.ReplaceAll(fmt.Sprintf("%.8E", w), "E", "D") })},
		{"exp x10", H + wpow(func(w float64) string { return strings.ReplaceAll(fmt.Sprintf("%.8E", w), "E", "×10^") })},
		{"leading zeros", H + wpow(func(w float64) string { return fmt.Sprintf("%012.1f", w) })},
		{"excel ='x'", H + wpow(func(w float64) string { return fmt.Sprintf(`="%.1f"`, w) })},
		{"excel texts, the time too", H + rows(";", func(r R) []string {
			return []string{`="` + g(r.t) + `"`, fmt.Sprintf(`="%.1f"`, r.w), `="` + g(r.s) + `"`, fmt.Sprintf(`="%.2f"`, r.T)}
		})},
		{"excel texts in quotes, header too", `"=""time [s]""",="heater power [W]","fan speed [rpm]",="plate temperature [°C]"` + "\n" + rows(",", func(r R) []string {
			return []string{`"=""` + g(r.t) + `"""`, `="` + num(",", ".", true)(r)[1] + `"`, `"=""` + g(r.s) + `"""`, fmt.Sprintf(`"=""%.2f"""`, r.T)}
		})},
		{"arabic digits", H + wpow(func(w float64) string {
			return strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return r - '0' + '٠'
				}
				return r
			}, fmt.Sprintf("%.1f", w))
		})},
		{"thousands as k", H + wpow(func(w float64) string { return fmt.Sprintf("%.4fk", w/1000) })},
		{"ISO weeks", tim("time", func(t float64) string { return fmt.Sprintf("2025-W28-2T10:43:%02.0f", t) })},
		{"apostrophe text prefix", H + wpow(func(w float64) string { return fmt.Sprintf(`'%.1f`, w) })},
		{"single quotes", H + wpow(func(w float64) string { return fmt.Sprintf(`'%.1f'`, w) })},
		// dates
		{"d/m/y", tim("time", clock(base, "2/1/2006 15:04:05"))},
		{"d.m.yy", tim("time", clock(base, "2.1.06 15:04:05"))},
		{"y/m/d", tim("time", clock(base, "2006/1/2 15:04:05"))},
		{"y.m.d", tim("time", clock(base, "2006.01.02 15:04:05"))},
		{"m/d/y ampm", tim("time", clock(base, "1/2/2006 3:04:05 PM"))},
		{"m/d/y ampm ms", tim("time", clock(base, "1/2/2006 3:04:05.000 PM"))},
		{"ampm glued", tim("time", clock(base, "1/2/2006 3:04:05PM"))},
		{"ampm nnbsp", tim("time", clock(base, "1/2/2006, 3:04:05\u202fPM"))},
		{"chinese ampm", tim("time", clock(base, "2006/1/2 下午 3:04:05"))},
		{"+0200", tim("time", func(t float64) string { return clock(base, "2006-01-02 15:04:05")(t) + "+0200" })},
		{"UTC", tim("time", clock(base, "2006-01-02 15:04:05 UTC"))},
		{"Z", tim("time", clock(base, "2006-01-02T15:04:05.000Z"))},
		{"T comma", tim("time", clock(base, "2006-01-02T15:04:05,000"))},
		{"iso compact", tim("time", clock(base, "20060102T150405Z"))},
		{"ctime", tim("time", clock(base, "Mon Jan _2 15:04:05 2006"))},
		{"rfc1123", tim("time", clock(base, "Mon, 02 Jan 2006 15:04:05 GMT"))},
		{"weekday us", tim("time", clock(base, "Monday, January 2, 2006 3:04:05 PM"))},
		{"dd-Mon-yyyy", tim("time", clock(base, "02-Jan-2006 15:04:05"))},
		{"dd-Mon-yy ampm", tim("time", clock(base, "02-Jan-06 03:04:05 PM"))},
		{"german month", tim("time", func(t float64) string {
			return strings.ReplaceAll(clock(time.Date(2025, 10, 25, 12, 59, 55, 0, time.UTC), "2. Oct 2006 15:04:05")(t), "Oct", "Okt")
		})},
		{"CET", tim("time", clock(base, "2006-01-02 15:04:05 CET"))},
		{"brackets zone", tim("time", func(t float64) string { return clock(base, "2006-01-02T15:04:05")(t) + "+01:00[Europe/Berlin]" })},
		{"24:00", tim("time", func(t float64) string {
			return clock(time.Date(2025, 7, 8, 23, 59, 55, 0, time.UTC), "2006-01-02 15:04:05")(t)
		})},
		{"excel serial", tim("time", func(t float64) string { return fmt.Sprintf("%.9f", 45986.5+t/86400) })},
		{"excel serial [d]", tim("time [d]", func(t float64) string { return fmt.Sprintf("%.9f", 45986.5+t/86400) })},
		{"excel serial [days]", tim("time [days]", func(t float64) string { return fmt.Sprintf("%.9f", 45986.5+t/86400) })},
		{"day fraction", tim("time", func(t float64) string { return fmt.Sprintf("%.9f", t/86400) })},
		{"epoch s nounit", tim("time", func(t float64) string { return fmt.Sprintf("%.1f", 1762000000+t) })},
		{"epoch ms nounit", tim("time", func(t float64) string { return fmt.Sprintf("%.0f", 1762000000000+1000*t) })},
		{"epoch s", tim("time [s]", func(t float64) string { return fmt.Sprintf("%.1f", 1762000000+t) })},
		{"epoch ms", tim("time [ms]", func(t float64) string { return fmt.Sprintf("%.0f", 1762000000000+1000*t) })},
		{"epoch ms mislabelled s", tim("time [s]", func(t float64) string { return fmt.Sprintf("%.0f", 1762000000000+1000*t) })},
		{"epoch us", tim("time [µs]", func(t float64) string { return fmt.Sprintf("%.0f", 1762000000000000+1e6*t) })},
		{"epoch ns", tim("time [ns]", func(t float64) string { return fmt.Sprintf("%.0f", 1762000000000000000+1e9*t) })},
		{"epoch ns e", tim("time [ns]", func(t float64) string { return fmt.Sprintf("%.12e", 1762000000000000000+1e9*t) })},
		{"epoch thousands", tim("time [ms]", func(t float64) string { return group(1762000000000+1000*t, 0, ",", ".", false) })},
		{"since 1904", tim("time [s since 1904]", func(t float64) string { return fmt.Sprintf("%.1f", 3834787395.3+t) })},
		{"elapsed >24h", tim("time", func(t float64) string { return fmt.Sprintf("%02.0f:%02.0f:%02.0f", 26.0, 10.0, t) })},
		{"elapsed >24h unit", tim("time [h:m:s]", func(t float64) string { return fmt.Sprintf("%.0f:%02.0f:%02.0f", 126.0, 10.0, t) })},
		{"elapsed mm:ss.f", tim("time", func(t float64) string { return fmt.Sprintf("%02d:%04.1f", int(1), t) })},
		{"elapsed mm:ss.f header", tim("time [mm:ss]", func(t float64) string { return fmt.Sprintf("%02d:%04.1f", int(1), t) })},
		{"elapsed m:s", tim("time [min:s]", func(t float64) string { return fmt.Sprintf("%02d:%02.0f", int(1), t) })},
		{"elapsed hh:mm:ss:ms", tim("time", func(t float64) string { return fmt.Sprintf("00:00:%02.0f:500", t) })},
		{"elapsed days", tim("time", func(t float64) string { return fmt.Sprintf("1.02:00:%02.0f", t) })},
		{"elapsed d hh", tim("time", func(t float64) string { return fmt.Sprintf("1 02:00:%02.0f", t) })},
		{"elapsed d hh:mm:ss", tim("time", func(t float64) string { return fmt.Sprintf("1d 02:00:%02.0f", t) })},
		{"elapsed s unit in cells", tim("time", func(t float64) string { return fmt.Sprintf("%.1f s", t) })},
		{"elapsed iso PT", tim("time", func(t float64) string { return fmt.Sprintf("PT%.1fS", t) })},
		{"elapsed decimal comma seconds", tim("time", func(t float64) string { return fmt.Sprintf("00:00:%02.0f,500", t) })},
		{"elapsed negative", tim("time [s]", func(t float64) string { return fmt.Sprint(t - 5) })},
		{"ambiguous", tim("time", clock(low, "1/2/2006 15:04:05"))},
		{"time head Time (sec.)", tim("Time (sec.)", func(t float64) string { return fmt.Sprint(t) })},
		{"time head t [s]", tim("t [s]", func(t float64) string { return fmt.Sprint(t) })},
		{"time head Time_s", tim("Time_s", func(t float64) string { return fmt.Sprint(t) })},
		{"time head Zeit", tim("Zeit [s]", func(t float64) string { return fmt.Sprint(t) })},
		{"time head Timestamp", tim("Timestamp", clock(base, "2006-01-02 15:04:05"))},
		{"time head Elapsed Time", tim("Elapsed Time [s]", func(t float64) string { return fmt.Sprint(t) })},
		{"time head time, s", "time, s;heater power, W;fan speed, rpm;plate temperature, °C\n" + P},
		{"time head time in s", "time in s;heater power in W;fan speed in rpm;plate temperature in °C\n" + P},
		{"time head {}", "time {s};heater power {W};fan speed {rpm};plate temperature {°C}\n" + P},
		{"time head <>", "time <s>;heater power <W>;fan speed <rpm>;plate temperature <°C>\n" + P},
		{"head slash glued", "time/s;heater power/W;fan speed/rpm;plate temperature/°C\n" + P},
		{"head paren", "Time(s);Heater Power(W);Fan Speed(rpm);Plate Temperature(°C)\n" + P},
		{"head underscore unit", "time_s;heater_power_W;fan_speed_rpm;plate_temperature_degC\n" + P},
		{"head dash", "time - s;heater-power - W;fan-speed - rpm;plate-temperature - °C\n" + P},
		// encodings
		{"u16le bom", "\xff\xfe" + u16(H+P, true)},
		{"u16be bom", "\xfe\xff" + u16(H+P, false)},
		{"u16le", u16(H+P, true)},
		{"u16be", u16(H+P, false)},
		{"u16le crlf", "\xff\xfe" + u16(strings.ReplaceAll(H+P, "\n", "\r\n"), true)},
		{"u32le bom", func() string {
			s := "\xff\xfe\x00\x00"
			for _, r := range H + P {
				s += string([]byte{byte(r), byte(r >> 8), byte(r >> 16), 0})
			}
			return s
		}()},
		{"u32be bom", func() string {
			s := "\x00\x00\xfe\xff"
			for _, r := range H + P {
				s += string([]byte{0, byte(r >> 16), byte(r >> 8), byte(r)})
			}
			return s
		}()},
		{"latin1", cp(H + P)},
		{"cp437 degree", strings.ReplaceAll(H, "°", "\xf8") + P},
		{"mojibake", strings.ReplaceAll(H, "°", "Â°") + P},
		{"replacement char", strings.ReplaceAll(H, "°", "\ufffd") + P},
		{"macroman", strings.ReplaceAll(H, "°", "\xa1") + P},
		{"gbk ℃", strings.ReplaceAll(H, "°C", "\xa1\xe6") + P},
		{"shiftjis ℃", strings.ReplaceAll(H, "°C", "\x81\x8e") + P},
		{"sep=;", "sep=;\r\n" + strings.ReplaceAll(H+P, "\n", "\r\n")},
		{"bom sep=;", "\ufeffsep=;\r\n" + strings.ReplaceAll(H+P, "\n", "\r\n")},
		{"sep=,", "sep=,\n" + HC + pl(",")},
		{"sep=tab", "sep=\t\n" + HT + pl("\t")},
		{"pipe", strings.ReplaceAll(H+P, ";", "|")},
		{"pipe sep=", "sep=|\n" + strings.ReplaceAll(H+P, ";", "|")},
		{"spaces", "time_[s] heater_power_[W] fan_speed_[rpm] plate_temperature_[°C]\n" + strings.ReplaceAll(P, ";", " ")},
		{"spaces fixed width", "time[s]   heater_power[W]  fan_speed[rpm]   plate_temperature[°C]\n" + strings.ReplaceAll(P, ";", "    ")},
		{"preamble", "Logger;X1\nFile;c:\\a.csv\n\n\n" + H + P},
		{"preamble 300", strings.Repeat("Setting;1\n", 300) + H + P},
		{"preamble numbers", "1;2;3;4\n5;6;7;8\n" + H + P},
		{"preamble kv numbers", "Sample rate;10\nChannels;4\nStart;2025-01-01\n" + H + P},
		{"preamble quoted multi-line", "\"Comment: a\nb;c\";x\n" + H + P},
		{"# header", "# a\n#" + H + P},
		{"// header", "// a\n//" + H + P},
		{"! header", "! a\n" + H + P},
		{"unitrow", "time;heater power;fan speed;plate temperature\ns;W;rpm;°C\n" + P},
		{"unitrow brackets", "time;heater power;fan speed;plate temperature\n[s];[W];[rpm];[°C]\n" + P},
		{"unitrow parens", "time;heater power;fan speed;plate temperature\n(s);(W);(rpm);(°C)\n" + P},
		{"unitrow and type row", "time;heater power;fan speed;plate temperature\ns;W;rpm;°C\nfloat;float;float;float\n" + P},
		{"unitrow blank between", "time;heater power;fan speed;plate temperature\n\ns;W;rpm;°C\n\n" + P},
		{"unitrow above", "s;W;rpm;°C\ntime;heater power;fan speed;plate temperature\n" + P},
		{"cr", strings.ReplaceAll(H+P, "\n", "\r")},
		{"crcrlf", strings.ReplaceAll(H+P, "\n", "\r\r\n")},
		{"lfcr", strings.ReplaceAll(H+P, "\n", "\n\r")},
		{"nel", strings.ReplaceAll(H+P, "\n", "\u0085\n")},
		{"nl mix", H + strings.ReplaceAll(h1, "\n", "\r\n") + h2},
		{"vt ff", H + h1 + "\f\n" + h2},
		{"℃", strings.ReplaceAll(H, "°C", "℃") + P},
		{"ºC", strings.ReplaceAll(H, "°C", "ºC") + P},
		{"℉", unitsH("W", "rpm", "℉") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.1f", r.w), g(r.s), fmt.Sprintf("%.2f", r.T*1.8+32)}
		})},
		{"degC", strings.ReplaceAll(H, "°C", "degC") + P},
		{"Deg C", strings.ReplaceAll(H, "°C", "Deg C") + P},
		{"DEG C", strings.ReplaceAll(H, "°C", "DEG C") + P},
		{"c", strings.ReplaceAll(H, "°C", "c") + P},
		{"oC", strings.ReplaceAll(H, "°C", "oC") + P},
		{"Celcius", strings.ReplaceAll(H, "°C", "Celcius") + P},
		{"CELSIUS", strings.ReplaceAll(H, "°C", "CELSIUS") + P},
		{"grad celsius", strings.ReplaceAll(H, "°C", "Grad Celsius") + P},
		{"degrees C", strings.ReplaceAll(H, "°C", "degrees C") + P},
		{"K", unitsH("W", "rpm", "K") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.1f", r.w), g(r.s), fmt.Sprintf("%.2f", r.T+273.15)}
		})},
		{"Watts", strings.ReplaceAll(H, "[W]", "[Watts]") + P},
		{"watt", strings.ReplaceAll(H, "[W]", "[WATT]") + P},
		{"hp", unitsH("hp", "rev/min", "°C") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.10f", r.w/745.69987158227022), g(r.s), fmt.Sprintf("%.2f", r.T)}
		})},
		{"HP", unitsH("HP", "REV/MIN", "°C") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.10f", r.w/745.69987158227022), g(r.s), fmt.Sprintf("%.2f", r.T)}
		})},
		{"MW", unitsH("MW", "rpm", "°C") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.10f", r.w/1e6), g(r.s), fmt.Sprintf("%.2f", r.T)}
		})},
		{"mW", unitsH("mW", "rpm", "°C") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.1f", r.w*1e3), g(r.s), fmt.Sprintf("%.2f", r.T)}
		})},
		{"rps", unitsH("W", "rev/s", "°C") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.1f", r.w), fmt.Sprintf("%.9f", r.s/60), fmt.Sprintf("%.2f", r.T)}
		})},
		{"rad/s", unitsH("W", "rad/s", "°C") + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.1f", r.w), fmt.Sprintf("%.9f", r.s*math.Pi/30), fmt.Sprintf("%.2f", r.T)}
		})},
		{"min⁻¹", strings.ReplaceAll(H, "rpm", "min⁻¹") + P},
		{"1/min", strings.ReplaceAll(H, "rpm", "1/min") + P},
		{"Upm", strings.ReplaceAll(H, "rpm", "U/min") + P},
		// structure
		{"dup other columns", strings.ReplaceAll(H, "\n", ";note;note\n") + strings.ReplaceAll(P, "\n", ";a;b\n")},
		{"dup empty columns", strings.ReplaceAll(H, "\n", ";;\n") + strings.ReplaceAll(P, "\n", ";;\n")},
		{"dup wanted", strings.ReplaceAll(H, "\n", ";heater power [W]\n") + strings.ReplaceAll(P, "\n", ";7.5\n")},
		{"quoted sep", strings.ReplaceAll(H, "\n", ";note\n") + strings.ReplaceAll(P, "\n", ";\"a;b\"\n")},
		{"quoted newline", strings.ReplaceAll(H, "\n", ";note\n") + strings.ReplaceAll(P, "\n", ";\"a\nb\"\n")},
		{"quoted newline in the middle", strings.Replace(H, ";", ";note;", 1) + func() string {
			s := ""
			for _, l := range half {
				if l != "" {
					s += strings.Replace(l, ";", ";\"a\nb\";", 1)
				}
			}
			return s
		}()},
		{"quoted newline in header", "time [s];\"heater power\n[W]\";fan speed [rpm];\"plate\ntemperature [°C]\"\n" + P},
		{"quoted newline crlf in header", "time [s];\"heater power\r\n[W]\";fan speed [rpm];\"plate\r\ntemperature [°C]\"\r\n" + P},
		{"inner quote", strings.ReplaceAll(H, "\n", ";note\n") + strings.ReplaceAll(P, "\n", ";5\" pipe\n")},
		{"backslash quote", strings.ReplaceAll(H, "\n", ";note\n") + strings.ReplaceAll(P, "\n", ";\"a \\\"b\\\" c\"\n")},
		{"trailing sep rows", H + strings.ReplaceAll(P, "\n", ";\n")},
		{"trailing sep both", strings.ReplaceAll(H+P, "\n", ";\n")},
		{"trailing seps rows 3", H + strings.ReplaceAll(P, "\n", ";;;\n")},
		{"trailing sep header only", strings.ReplaceAll(H, "\n", ";\n") + P},
		{"leading sep", ";" + H + strings.ReplaceAll("\n"+P, "\n", "\n;")[1:]},
		{"blank lines", strings.ReplaceAll(H+P, "\n", "\n\n")},
		{"lines of separators", H + strings.ReplaceAll(P, "\n", "\n;;;\n")},
		{"repeated header", H + h1 + H + h2},
		{"two files with bom", "\ufeff" + H + h1 + "\ufeff" + H + h2},
		{"bom at row", "\ufeff" + H + h1 + "\ufeff" + h2},
		{"zero width in header", strings.Replace(H, "heater power", "\u200bheater power", 1) + P},
		{"footer", H + P + "Average;1;2;3\nMax;1;2;3\nEnd of file\n"},
		{"footer quoted", H + P + "\"End of log\"\n"},
		{"footer block", H + P + "\nSummary\nMin;Max;Mean\n1;2;3\n"},
		{"footer with same width", H + P + "\nTotal;15000;600;800\n"},
		{"nuls inside", H + h1 + "\x00\x00\x00\n" + h2},
		{"nuls in middle of line", H + h1 + "\x00\x00\x00" + h2},
		{"ragged short line", H + h1 + "5.5;3\n" + h2},
		{"ragged long line", H + h1 + "5.5;3;4;5;6;7\n" + h2},
		{"two lines run together", H + h1 + "5.5;3;4;5" + "5.6;3;4;5\n" + h2},
		{"markdown", "|" + strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(H, ";", "|")), "\n", "") + "|\n|---|---|---|---|\n|" + strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(P, ";", "|")), "\n", "|\n|") + "|\n"},
		{"reversed", H + func() string {
			s := ""
			for i := len(half) - 1; i >= 0; i-- {
				s += half[i]
			}
			return s
		}()},
		{"mixed decimal styles per row", H + strings.ReplaceAll(h1, ".", ",") + h2},
		{"comma sep decimal comma unquoted", HC + strings.ReplaceAll(strings.ReplaceAll(P, ".", ","), ";", ",")},
		{"header sep ; rows ,", H + strings.ReplaceAll(P, ";", ",")},
		{"header sep , rows ;", HC + P},
		{"excel serial [excel]", tim("time [excel]", func(t float64) string { return fmt.Sprintf("%.9f", 45986.5+t/86400) })},
		{"elapsed m:s without unit", tim("time", func(t float64) string { return fmt.Sprintf("01:%02.0f", t) })},
		{"elapsed mm:ss.f over the hour", tim("time", func(t float64) string {
			return fmt.Sprintf("%02d:%04.1f", int(59*60+55+t)%3600/60, float64(int(55+t)%60))
		})},
		{"stray quote", strings.ReplaceAll(H, "\n", ";note\n") + strings.ReplaceAll(h1, "\n", ";x\n") + "5.5;1;2;3;\"5 pipe\n" + strings.ReplaceAll(h2, "\n", ";x\n")},
		{"u32le", u32(H+P, true)},
		{"u32be", u32(H+P, false)},
		{"blanks, unit row", "time heater_power fan_speed plate_temperature\ns W rpm °C\n" + strings.ReplaceAll(P, ";", " ")},
		{"blanks, tabs, rule, # header", "# run 7 of plate 3\n# time[s]\theater_power[W]  fan_speed[rpm]   plate_temperature[degC]\n# ------- ---- --- ---\n" + strings.ReplaceAll(P, ";", " \t ")},
		{"blanks in names", "time [s]   heater power [W]   fan speed [rpm]   plate temperature [°C]\n" + strings.ReplaceAll(P, ";", " ")},
		{"blanks, names and units apart", "time [s] heater_power [W] fan_speed [rpm] plate_temperature [°C]\n" + strings.ReplaceAll(P, ";", "  ")},
		{"blanks, prose above", "heater power [W] and plate temperature [°C] of cell 3\n\ntime_s heater_power_W fan_speed_rpm plate_temperature_degC\n" + strings.ReplaceAll(P, ";", " ")},
		{"blanks, decimal comma", "time[s] heater_power[W] fan_speed[rpm] plate_temperature[°C]\n" + strings.ReplaceAll(strings.ReplaceAll(P, ";", " "), ".", ",")},
		{"blanks, date and time", "time heater_power[W] fan_speed[rpm] plate_temperature[°C]\n" + strings.ReplaceAll(rows(";", func(r R) []string {
			return []string{clock(base, "2006-01-02 15:04:05.0")(r.t), fmt.Sprintf("%.1f", r.w), g(r.s), fmt.Sprintf("%.2f", r.T)}
		}), ";", " ")},
		{"blanks, header again", "time [s]  heater power [W]  fan speed [rpm]  plate temperature [°C]\n" + strings.ReplaceAll(h1, ";", " ") +
			"time [s]  heater power [W]  fan speed [rpm]  plate temperature [°C]\n" + strings.ReplaceAll(h2, ";", " ")},
		{"^", strings.ReplaceAll(H+P, ";", "^")},
		{"camel", "Time [s];HeaterPower [W];fanSpeed [rpm];Plate.Temperature [°C]\n" + P},
		{"durations", tim("time", func(t float64) string { return fmt.Sprintf("1m%gs", t) })},
		{"date of 14 digits", tim("time", clock(base, "20060102150405.0"))},
		{"points in the time of day", tim("time", clock(base, "02.01.2006 15.04.05.0"))},
		{"年月日", tim("time", clock(base, "2006年1月2日 15時04分05秒"))},
		{"% in cells", strings.Replace(H, "fan speed [rpm]", "fan speed [rpm];load [%]", 1) + rows(";", func(r R) []string {
			return []string{g(r.t), fmt.Sprintf("%.1f", r.w), g(r.s), "50 %", fmt.Sprintf("%.2f", r.T)}
		})},
		{"TOA5", "\"TOA5\",\"CR1000\",\"17\"\n\"TIMESTAMP\",\"RECORD\",\"heater power\",\"fan speed\",\"plate temperature\"\n\"TS\",\"RN\",\"W\",\"rpm\",\"Deg C\"\n\"\",\"\",\"Avg\",\"Smp\",\"Smp\"\n" + rows(",", func(r R) []string {
			return []string{q(clock(base, "2006-01-02 15:04:05.0")(r.t)), "7", fmt.Sprintf("%.1f", r.w), g(r.s), fmt.Sprintf("%.2f", r.T)}
		})},
		{"other units below the header again", "time;heater power;fan speed;plate temperature\ns;W;rpm;°C\n" + h1 + "time;heater power;fan speed;plate temperature\ns;kW;rpm;K\n" + func() (text string) {
			for _, r := range data[6:] {
				text += fmt.Sprintf("%v;%v;%v;%v\n", r.t, r.w/1000, r.s, r.T+273.15)
			}
			return text
		}()},
		{"CR alone, quoted line end", strings.ReplaceAll(strings.ReplaceAll(H, "\n", ";note\n")+strings.ReplaceAll(P, "\n", ";\"a\nb\"\n"), "\n", "\r")},
	}
	refusals := map[string]string{ // "!": the file is refused, with these words; else it is read, and they are told
		"underscore":                         `are no number`,
		"arabic digits":                      `no number, the first in line 2: "٠.٠" (numbers are read with the digits 0 to 9`,
		"thousands as k":                     `no number, the first in line 2: "0.0000k" ("k" may be a prefix or a unit: export numbers alone, with the unit in the header)`,
		"ISO weeks":                          `!none of the known forms`,
		"exp x10":                            `are no number`,
		"chinese ampm":                       `!none of the known forms`,
		"CET":                                `!say the place (zone)`,
		"excel serial":                       `!this looks like excel`,
		"day fraction":                       `!a count needs its unit`,
		"epoch s nounit":                     `!looks like s since 1970`,
		"epoch ms nounit":                    `!looks like ms since 1970`,
		"epoch ms mislabelled s":             `!not a count of s`,
		"ambiguous":                          `!dmy or mdy`,
		"shiftjis ℃":                         `!no unit that is known`,
		"preamble numbers":                   `!name them`,
		"unitrow above":                      `!no unit that is known`,
		"c":                                  `!no unit that is known`,
		"dup wanted":                         `!both go to`,
		"backslash quote":                    `!a quoted field has no end`,
		"reversed":                           `!is the newest row first?`,
		"mixed decimal styles per row":       `are no number`,
		"comma sep decimal comma unquoted":   `!are commas decimal signs too?`,
		"header sep ; rows ,":                `!part the columns here?`,
		"header sep , rows ;":                `!part the columns here?`,
		"ragged short line":                  `2 fields, the header has 4`,
		"ragged long line":                   `6 fields, the header has 4`,
		"two lines run together":             `7 fields, the header has 4`,
		"footer":                             `lines left out`,
		"footer block":                       `lines left out`,
		"footer with same width":             `no time stamp`,
		"lines of separators":                `lines left out`,
		"indian":                             `"1,213.5" is read as 1213.5`,
		"parens":                             `"(1500.5)" is read as -1500.5`,
		"trailing minus":                     `is read as -1500.5`,
		"other unit in cells":                `is read as 0 W`,
		"elapsed m:s without unit":           `!mm:ss`,
		"other units below the header again": `heater power is in kW now`,
		"stray quote":                        `line 8: a quoted field has no end`,
	}
	for _, c := range cases {
		says := refusals[c.name]
		log, err := Parse(strings.NewReader(c.text), Options{Named: plate, Location: time.UTC})
		if refused := strings.TrimPrefix(says, "!"); refused != says || err != nil {
			if err == nil || refused == "" || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s: %v, want %q", c.name, err, says)
			}
			continue
		}
		if told := strings.Join(log.Remarks(), "\n"); !strings.Contains(told, says) {
			t.Errorf("%s: told is %q, not %q", c.name, told, says)
		}
		if len(log.Time) != len(data) {
			t.Errorf("%s: %d rows; %v", c.name, len(log.Time), log.Skipped)
			continue
		}
		for k := range log.Time {
			if at := float64(log.Time[k]-log.Time[0]) / 1e9; math.Abs(at-data[k].t) > 2e-3 {
				t.Errorf("%s: row %d is at %g s, not %g", c.name, k+1, at, data[k].t)
			}
		}
		for name, want := range map[string]func(R) float64{"heater power": func(r R) float64 { return r.w }, "fan speed": func(r R) float64 { return r.s }, "plate temperature": func(r R) float64 { return r.T }} {
			i, ok := log.Column(name)
			if !ok {
				t.Errorf("%s: no column is %s", c.name, name)
				continue
			}
			si := map[string]string{"heater power": "W", "fan speed": "rpm", "plate temperature": "°C"}[name]
			m, err := unit.Between(log.Columns[i].Unit, unit.MustParse(si))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			for k, v := range log.Value[i] {
				if good := log.Status[i][k].IsGood(); good && math.Abs(m.Apply(v)-want(data[k])) > 1e-3 || !good && !strings.Contains(says, "no number") {
					t.Errorf("%s: %s in row %d is %g (%s), not %g", c.name, name, k+1, m.Apply(v), log.Status[i][k], want(data[k]))
				}
			}
		}
	}
}

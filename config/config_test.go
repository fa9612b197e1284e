package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"stirwatch/sensors/unit"
)

var update = flag.Bool("update", false, "rewrite the generated files and the expected messages")

// golden compares a file with what it should hold; -update rewrites it.
func golden(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not current: run `go generate ./config`\n--- it should hold\n%s", path, want)
	}
}

func TestGeneratedFilesAreCurrent(t *testing.T) {
	golden(t, "agent.schema.json", Schema())
	golden(t, "../docs/configuration.md", Reference())
	golden(t, "../agent.yaml", Example("config/agent.schema.json"))
}

// The manual says of every key what it is.
func TestEveryKeyIsDescribed(t *testing.T) {
	keys := 0
	for line := range strings.Lines(string(Reference())) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 4 {
			continue
		}
		if keys++; strings.TrimSpace(cells[1]) == "" {
			t.Errorf("nothing is said of %s", cells[0])
		}
	}
	if keys < 200 {
		t.Errorf("the manual has %d keys", keys)
	}
}

// Every wrong file has its expected message, to the letter.
func TestWrongFilesHaveTheirMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d wrong files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file)
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("no problem was found: %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", []byte(filepath.ToSlash(err.Error())+"\n"))
		})
	}
}

// good is every file that must be read: the example and testdata/*.good.yaml.
func good(t testing.TB) map[string][]byte {
	files, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no good files: %v", err)
	}
	all := map[string][]byte{"agent.yaml": Example("config/agent.schema.json")}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[f] = data
	}
	return all
}

func schema(t testing.TB) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("agent.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("agent.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds YAML text against the schema, as an editor does.
func validate(s *jsonschema.Schema, data []byte) error {
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestGoodFilesFitTheSchemaAndShowReadsBack(t *testing.T) {
	s := schema(t)
	for name, data := range good(t) {
		c, err := Parse(name, data, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := validate(s, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shown := c.Show()
		if err := validate(s, shown); err != nil {
			t.Errorf("%s, as shown: %v\n%s", name, err, shown)
		}
		again, err := Parse(name, shown, nil)
		if err != nil {
			t.Errorf("%s, as shown: %v\n%s", name, err, shown)
			continue
		}
		if !reflect.DeepEqual(c, again) {
			t.Errorf("%s reads back differently:\n%+v\n%+v", name, c, again)
		}
		if !bytes.Equal(shown, again.Show()) {
			t.Errorf("%s is shown differently the second time:\n%s\n%s", name, shown, again.Show())
		}
	}
}

// An editor marks what the schema can express: wrong files with such mistakes do not fit it.
func TestSchemaRefusesWhatItCanExpress(t *testing.T) {
	s := schema(t)
	for _, name := range []string{
		"unknown_key", "missing_unit", "wrong_unit", "not_a_choice", "missing_keys", "plain_secret",
		"wrong_type", "unknown_unit", "bad_name",
	} {
		data, err := os.ReadFile("testdata/" + name + ".bad.yaml")
		if err != nil {
			t.Error(err)
		} else if validate(s, data) == nil {
			t.Errorf("%s fits the schema", name)
		}
	}
}

func TestExampleNamesTheSchema(t *testing.T) {
	first, _, _ := strings.Cut(string(Example("config/agent.schema.json")), "\n")
	path, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
	if !ok {
		t.Fatalf("first line: %s", first)
	}
	if _, err := os.Stat(filepath.Join("..", path)); err != nil {
		t.Error(err)
	}
}

// The parts of the example that stand in comments must work once the comment marks are taken away.
func TestCommentedPartsOfTheExampleWork(t *testing.T) {
	text := string(Example("config/agent.schema.json"))
	for _, start := range []string{"  # thermocouple:", "  # telemetry:", "# bridge:", "# influxdb:"} {
		i := strings.Index(text, start)
		if i < 0 {
			t.Fatalf("no part starts with %q", start)
		}
		indent := start[:strings.Index(start, "#")]
		lines := strings.Split(text[i:], "\n")
		for n, l := range lines {
			body, commented := strings.CutPrefix(l, indent+"# ")
			if !commented {
				break
			}
			lines[n] = indent + body
		}
		text = text[:i] + strings.Join(lines, "\n")
	}
	text = strings.Replace(text, "\n  # file: model.json", "\n  file: model.json", 1)
	text = strings.Replace(text, "\nchannels:\n", "\nchannels:\n  ambient: {is: ambient temperature, unit: °C}\n", 1)
	c, err := Parse("agent.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != 3 || c.InfluxDB == nil || c.Bridge == nil || c.Model.File == "" {
		t.Errorf("%d sources, InfluxDB %v, model %q", len(c.Sources), c.InfluxDB, c.Model.File)
	}
}

func TestReferenceNamesEveryKeyOfTheSchema(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	reference, n := string(Reference()), 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if props, ok := v["properties"].(map[string]any); ok {
				for key := range props {
					n++
					if !regexp.MustCompile("[`.]"+key+"`|## "+key+"\n").MatchString(reference) && key != "env" && key != "file" {
						t.Errorf("%s is not in the reference", key)
					}
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(doc)
	if n < 60 {
		t.Errorf("only %d keys in the schema", n)
	}
}

func TestDefaultsAreWithinTheirLimits(t *testing.T) {
	d := Default()
	if d.Tick.Rate.String() != "10 Hz" || d.Tick.Rate.Period() != 100*time.Millisecond || d.Journal.Size != 0 ||
		d.Journal.Keep != 30*24*time.Hour || d.Log.Level != "info" || d.InfluxDB != nil {
		t.Errorf("%+v", d)
	}
	var all func(reflect.Type)
	all = func(typ reflect.Type) {
		inner, _ := inside(typ, "")
		if inner.Kind() != reflect.Struct || kinds[inner] != nil || inner == secretType {
			return
		}
		for _, f := range fieldsOf(inner) {
			all(f.typ)
			if f.def == "" || f.min == "" {
				continue
			}
			k := kinds[f.typ]
			if v := k.measure(must(k, f.def)); v < k.measure(must(k, f.min)) || v > k.measure(must(k, f.max)) {
				t.Errorf("%s.%s: default %s is outside %s to %s", inner.Name(), f.name, f.def, f.min, f.max)
			}
		}
	}
	all(reflect.TypeFor[Config]())
}

func TestWhatIsRead(t *testing.T) {
	c, err := Load("testdata/everything.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ch := range c.Channels {
		names = append(names, ch.Name)
	}
	if got := strings.Join(names, " "); got != "tool_temperature spindle_torque spindle_power ambient line gas" {
		t.Errorf("channels are not in the order of the file: %s", got)
	}
	tool := c.Channels[0]
	lo, hi := tool.Limits()
	if tool.Is != "tool temperature" || tool.Unit.Symbol != "°C" || math.Abs(lo) > 1e-9 || math.Abs(hi-700) > 1e-9 ||
		math.Abs(tool.RateLimit()-150) > 1e-9 || tool.MaxAge != 3*time.Second {
		t.Errorf("tool temperature: %+v, %g to %g, %g/s", tool, lo, hi, tool.RateLimit())
	}
	if lo, hi := c.Channels[2].Limits(); !math.IsInf(lo, -1) || hi != 40000 {
		t.Errorf("a power of at most 40 kW is %g to %g W", lo, hi)
	}
	if changes, band := c.Channels[0].Recorded(); !changes || math.Abs(band-1) > 1e-12 {
		t.Errorf("a dead band of 1.8 °F is %v, %g K", changes, band)
	}
	if changes, _ := c.Channels[1].Recorded(); changes {
		t.Error("a channel without a dead band records changes alone")
	}
	if got := c.Channels[2].RateLimit(); math.Abs(got-2000.0/60) > 1e-9 {
		t.Errorf("2 kW/min is %g W/s", got)
	}
	serial := c.Sources[0].Serial
	if serial == nil || !reflect.DeepEqual(serial.Fields[1], Field{Channel: "spindle_torque", Key: "SpinTrq"}) {
		t.Errorf("short form of a field: %+v", serial)
	}
	if !reflect.DeepEqual(serial.Fields[0].Sentinel, []float64{-2}) || serial.Fields[0].Unit.Symbol != "°F" || serial.Time.Unit != "uptime ms" {
		t.Errorf("field: %+v", serial.Fields[0])
	}
	mqtt := c.Sources[1].MQTT
	if mqtt.ClientID != "stirwatch-cell-1-telemetry" || mqtt.Topics[0].Value != "value" || mqtt.Topics[0].QoS != 1 || mqtt.KeepAlive != 30*time.Second {
		t.Errorf("mqtt: %+v", mqtt)
	}
	if got := c.Abs(c.Journal.Path); got != filepath.FromSlash("testdata/data/journal.db") {
		t.Errorf("journal at %s", got)
	}
	if c.Process.Ceiling.In(unit.MustParse("°C")) != 577 || c.InfluxDB.Batch != 10000 || c.Sources[2].Log.Follow {
		t.Errorf("%+v %+v", c.Process, c.InfluxDB)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "machine: a\nchannels: {x: {unit: °C}}\nsources: {s: {mqtt: {broker: 'tcp://h', username: u, password: {file: pw}, topics: [{topic: t, channel: x}]}}}\n" +
		"influxdb: {url: 'http://h', org: o, bucket: b, token: {env: TOKEN}}\n"
	env := map[string]string{"TOKEN": "from environment"}
	c, err := Parse(filepath.Join(dir, "agent.yaml"), []byte(text), func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	password, token := c.Sources[0].MQTT.Password, c.InfluxDB.Token
	if s, err := password.Resolve(); s != "from file" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if s, err := token.Resolve(); s != "from environment" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if strings.Contains(token.String()+password.String()+string(c.Show()), "from ") {
		t.Error("a secret is shown")
	}
	delete(env, "TOKEN")
	if _, err := token.Resolve(); err == nil || !strings.Contains(err.Error(), "TOKEN") {
		t.Errorf("unset variable: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "pw")); err != nil {
		t.Fatal(err)
	}
	if _, err := password.Resolve(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if s, err := (Secret{}).Resolve(); s != "" || err != nil {
		t.Errorf("no secret: %q, %v", s, err)
	}
}

// A secret in the wrong place must not come back in a message, which may land in a log.
func TestMessagesRepeatNoSecret(t *testing.T) {
	const head = "machine: a\nchannels: {x: {unit: °C}}\n"
	for _, text := range []string{
		head + "sources: {s: {mqtt: {broker: 'tcp://u:hunter2@h', topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://u:hunter2@:x:y', topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://h', password: hunter2, topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://h', password: [hunter2], topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://h', password: {env: 'hunter2='}, topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://h', password: {value: hunter2}, topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://h', pasword: hunter2, topics: [{topic: t, channel: x}]}}}",
		head + "sources: {s: {mqtt: {broker: 'tcp://h', pw: hunter2, topics: [{topic: t, channel: x}]}}}",
		head + "influxdb: {url: 'http://h', org: o, bucket: b, api_key: hunter2}",
	} {
		_, err := Parse("agent.yaml", []byte(text), nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s:\n%v", text, err)
		}
	}
}

func TestHostileFiles(t *testing.T) {
	bomb := "x-a: &a {k: {key: v}}\n"
	names := "abcdefgh"
	for i := 1; i < len(names); i++ {
		bomb += "x-" + names[i:i+1] + ": &" + names[i:i+1] + " [" + strings.Repeat("*"+names[i-1:i]+",", 9) + "*" + names[i-1:i] + "]\n"
	}
	var wide strings.Builder
	wide.WriteString("machine: a\nchannels: {x: {unit: °C}}\nx-f: &f {")
	for i := range 3000 {
		wide.WriteString("f" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String() + ": k, ")
	}
	wide.WriteString("}\nsources:\n")
	for i := range 1000 {
		wide.WriteString("  s" + time.Duration(i).String() + ": {serial: {port: p, fields: *f}}\n")
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "the file is empty"},
		"comments only":     {"# nothing\n", "the file is empty"},
		"null":              {"~\n", "the file is empty"},
		"too large":         {strings.Repeat("# x\n", maxSize/4+1), "larger than"},
		"not UTF-8":         {"machine: a\n# caf\xe9\n", "agent.yaml:2:6: the byte 0xe9 is not UTF-8"},
		"NUL":               {"machine: a\x00b\n", "not readable as YAML"},
		"deep list":         {strings.Repeat("[", 200_000), "not readable as YAML"},
		"deep, closed":      {"tick: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "a section of keys is wanted"},
		"alias bomb":        {bomb + "channels: *h\n", "named entries are wanted"},
		"merged bomb":       {bomb + "machine: a\n<<: *h\n", "counted after aliases"},
		"alias of itself":   {"channels: &a {x: *a}\n", "unknown key"},
		"merge of itself":   {"tick: &a {<<: *a}\n", "merges inside one another"},
		"wide aliases":      {wide.String(), "counted after aliases are followed"},
		"two documents":     {"machine: a\n---\nmachine: b\n", "a second document"},
		"a list":            {"- a\n", "this is a list"},
		"unknown anchor":    {"tick: *nowhere\n", "unknown anchor"},
		"many unknown keys": {manyKeys(5000), "too many problems"},
		"carriage returns":  {"machine: a\r\ntick: {rate: 10 Hz}\r\nfoo: 1\r\n", "agent.yaml:3:1: foo"},
	} {
		_, err := Parse("agent.yaml", []byte(c.text), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			msg := "no error"
			if err != nil {
				msg = err.Error()
			}
			t.Errorf("%s: %.300s; want %q", name, msg, c.want)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + time.Duration(i).String() + ": 1\n")
	}
	return b.String()
}

func TestLoadOfAMissingFileSaysTheWayOut(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "agent.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "config init") {
		t.Errorf("%v", err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"machine", "channels", "max_age", "max_rate", "sources"}
	for s, want := range map[string]string{"machnie": "machine", "Channels": "channels", "max-age": "max_age", "maxage": "max_age", "source": "sources", "zebra": ""} {
		if got := nearest(s, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestDurationsAndSizesPrintAsTheyAreRead(t *testing.T) {
	for text, want := range map[string]time.Duration{"2 s": 2 * time.Second, "1.5 s": 1500 * time.Millisecond, "30 d": 720 * time.Hour, "12h": 12 * time.Hour, "250 µs": 250 * time.Microsecond, "0 s": 0} {
		n, c := parseWhole(text, durations, "2 s")
		if c != nil || time.Duration(n) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(n), c)
			continue
		}
		if back, _ := parseWhole(inLargest(n, durations), durations, "2 s"); back != n {
			t.Errorf("%s prints as %s", text, inLargest(n, durations))
		}
	}
	for text, want := range map[string]string{"2 GB": "2 GB", "0.5 GB": "500 MB", "64 MiB": "64 MiB", "1536 KiB": "1536 KiB"} {
		n, c := parseWhole(text, sizes, "2 GB")
		if c != nil || Size(n).String() != want {
			t.Errorf("%s: %v, %v", text, Size(n), c)
		}
	}
}

// FuzzValues: whatever is read as a single value prints as a text that reads back as the same
// value, and fits the pattern that editors check.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"450 rpm", "-3.5e2 °C", "1.5 s", "30 d", "2 GiB", "5 1/s", "2 kW/min", "0", "12 %", "1e3", "true", "tool temperature", ".5 N m"} {
		f.Add(s)
	}
	ascii := regexp.MustCompile(`^[ -~°µ·]*$`)
	patterns := make(map[reflect.Type]*regexp.Regexp)
	for typ, k := range kinds {
		patterns[typ] = regexp.MustCompile(k.pattern)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for typ, k := range kinds {
			v, c := k.parse(s)
			if c != nil {
				if c.message == "" {
					t.Fatalf("%s %q: a complaint without words", typ, s)
				}
				continue
			}
			if ascii.MatchString(s) && !patterns[typ].MatchString(s) {
				t.Errorf("%s %q does not fit %s", typ, s, k.pattern)
			}
			back, c := k.parse(k.print(v))
			if c != nil || !reflect.DeepEqual(v, back) {
				t.Errorf("%s %q prints as %q, which reads as %v, %v", typ, s, k.print(v), back, c)
			}
		}
	})
}

// FuzzParse: whatever the text, no crash; what is read fits the schema and reads back the same.
func FuzzParse(f *testing.F) {
	for _, data := range good(f) {
		f.Add(data)
	}
	files, _ := filepath.Glob("testdata/*.bad.yaml")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	s := schema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("agent.yaml", data, nil)
		if err != nil {
			for _, p := range err.(Problems) {
				if p.Line < 1 || p.Column < 1 || p.Message == "" || strings.ContainsAny(p.String(), "\n\r") {
					t.Fatalf("%q: %+v", data, p)
				}
			}
			return
		}
		shown := c.Show()
		if err := validate(s, shown); err != nil {
			t.Fatalf("%q: %v\n%s", data, err, shown)
		}
		again, err := Parse("agent.yaml", shown, nil)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%q reads back differently: %v\n%s", data, err, shown)
		}
	})
}

// A kind that only a model knows is a kind; one that is a known one misspelt is not.
func TestFreeKinds(t *testing.T) {
	for kind, ok := range map[string]bool{
		"heater 1 power": true, "temperature 2": true, "humidity": true, "tool temperature 2": true, "Heizung Süd": true,
		"tool temprature": false, "spindle_speed": false, "Spindle Speed": false, " heater": false, "": false, "a\tb\n": false, "x" + strings.Repeat("y", 64): false,
	} {
		got, c := parseRole(kind)
		if (c == nil) != ok || ok && got != Role(kind) {
			t.Errorf("%q: %v, %+v", kind, got, c)
		}
	}
}

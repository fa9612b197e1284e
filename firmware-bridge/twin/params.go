package twin

import (
	"embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"stirwatch/sensors/unit"
)

// Params are one material with one tool on one machine, as a file in materials/ has them: every
// value with its unit, every key required. Inside, a value is in the unit of its tag.
type Params struct {
	Metal      Metal      `yaml:"metal"`
	Tool       Tool       `yaml:"tool"`
	Build      Build      `yaml:"build"`
	Spindle    Spindle    `yaml:"spindle"`
	Feed       Feeder     `yaml:"feed"`
	Controller Controller `yaml:"controller"`
	Thermo     Thermo     `yaml:"thermocouple"`
	Noise      Noise      `yaml:"noise"`
}

// Metal is what is deposited. Its flow stress is
//
//	σ = asinh((Z/A)^(1/n))/α · tanh((T_solidus − T)/width), Z = ε̇·exp(Q/RT)
//
// (Sellars and McTegart 1966; constants of extrusion, Sheppard and Jackson 1997); the second
// factor is the loss of strength near the solidus.
type Metal struct {
	Density      float64 `yaml:"density" unit:"kg/m³"`
	Heat         float64 `yaml:"specific_heat" unit:"J/(kg·K)"`
	Conductivity float64 `yaml:"conductivity" unit:"W/(m·K)"`
	Solidus      float64 `yaml:"solidus" unit:"°C"`
	SoftWidth    float64 `yaml:"softening_width" unit:"K"` // below the solidus, over which strength fades
	Flow         float64 `yaml:"flow_temperature" unit:"°C"`
	Alpha        float64 `yaml:"alpha" unit:"1/MPa"`
	N            float64 `yaml:"n" unit:"1"`
	LnA          float64 `yaml:"ln_a" unit:"1"` // of A in 1/s
	Q            float64 `yaml:"activation_energy" unit:"kJ/mol"`
	Friction     float64 `yaml:"friction" unit:"1"` // bar on cold plate
}

// Tool is a hollow steel tool: nodes along its shank from the face to the holder.
type Tool struct {
	Radius       float64 `yaml:"radius" unit:"m"`
	BarRadius    float64 `yaml:"bar_radius" unit:"m"` // of the upset bar under the bore
	BarArea      float64 `yaml:"bar_area" unit:"mm²"`
	Length       float64 `yaml:"length" unit:"m"`
	Conductivity float64 `yaml:"conductivity" unit:"W/(m·K)"`
	Face         float64 `yaml:"face_capacity" unit:"J/K"`
	Capacity     float64 `yaml:"shank_capacity" unit:"J/K"` // of all other nodes together
	Spread       float64 `yaml:"face_conductance" unit:"W/K"`
	Contact      float64 `yaml:"contact" unit:"W/K"` // sheared metal to face, gap full
	Air          float64 `yaml:"air" unit:"W/K"`     // whole tool to still air
	AirSpeed     float64 `yaml:"air_speed" unit:"1"` // rise of it from rest to 400 rpm
	Bore         float64 `yaml:"bore" unit:"W/K"`    // tool to the bar inside
	Stick        float64 `yaml:"stick" unit:"1"`     // share of the shoulder that shears the metal
	Press        float64 `yaml:"press" unit:"1"`     // rise of that share from no feed to 500 mm/min
	Gap          float64 `yaml:"gap" unit:"m"`       // under the shoulder
	Shear        float64 `yaml:"shear_depth" unit:"m"`
	ShearHeat    float64 `yaml:"shear_capacity" unit:"J/K"`
}

// Build is plate, deposit, path and what carries heat away from them.
type Build struct {
	PlateArea   float64 `yaml:"plate_area" unit:"m²"`
	PlateThick  float64 `yaml:"plate_thickness" unit:"m"`
	Bed         float64 `yaml:"bed" unit:"W/K"`
	Air         float64 `yaml:"air" unit:"W/(m²·K)"`
	TrackWidth  float64 `yaml:"track_width" unit:"m"`
	Layer       float64 `yaml:"layer" unit:"m"` // height gained in a lap
	Rest        float64 `yaml:"contact" unit:"W/K"`
	Moving      float64 `yaml:"contact_moving" unit:"W/K"` // added at 1 m/min, as the root of speed
	Surface     float64 `yaml:"surface_depth" unit:"m"`
	Ambient     float64 `yaml:"ambient" unit:"°C"`
	SetPoint    float64 `yaml:"set_point" unit:"°C"`  // of the tool in steady deposition
	LapHeat     float64 `yaml:"lap_contact" unit:"1"` // share by which contact varies once a lap
	HalfLapHeat float64 `yaml:"half_lap_contact" unit:"1"`
	LapPress    float64 `yaml:"lap_pressure" unit:"1"`
	HalfPress   float64 `yaml:"half_lap_pressure" unit:"1"`
}

// Spindle is drive, bearing and coolant.
type Spindle struct {
	Drag        float64 `yaml:"drag" unit:"N·m"`
	ColdDrag    float64 `yaml:"cold_drag" unit:"1/K"` // fall of drag with bearing temperature
	Inertia     float64 `yaml:"inertia" unit:"kg·m²"`
	Slew        float64 `yaml:"slew" unit:"rpm/s"`
	Meter       float64 `yaml:"power_meter" unit:"1"` // metered over mechanical power
	BearingHeat float64 `yaml:"bearing_heat" unit:"1"`
	BearingCap  float64 `yaml:"bearing_capacity" unit:"J/K"`
	Shank       float64 `yaml:"shank_conductance" unit:"W/K"`
	Coolant     float64 `yaml:"coolant" unit:"W/K"`
	CoolantFlow float64 `yaml:"coolant_flow" unit:"W/K"` // heat capacity flow of the coolant
	CoolantIn   float64 `yaml:"coolant_inlet" unit:"°C"`
}

// Feeder is the actuator that presses the bar.
type Feeder struct {
	Accel    float64 `yaml:"acceleration" unit:"mm/s²"`
	Pressure float64 `yaml:"pressure" unit:"MPa"` // on the bar at 10 mm/s, when soft
	Hard     float64 `yaml:"strength_share" unit:"1"`
	Number   float64 `yaml:"torque_number" unit:"1/kN"` // the machine's feed torque for each kN
	Idle     float64 `yaml:"torque_idle" unit:"1"`
	Limit    float64 `yaml:"torque_limit" unit:"1"`
}

// Controller is the machine's own law in the spindle's PID parameters, M71 to M76.
type Controller struct {
	Kp   float64 `yaml:"kp" unit:"rpm/K"`
	Tn   float64 `yaml:"tn" unit:"s"`
	Tv   float64 `yaml:"tv" unit:"s"`
	Td   float64 `yaml:"td" unit:"s"`
	Min  float64 `yaml:"min" unit:"rpm"`
	Max  float64 `yaml:"max" unit:"rpm"`
	Rate float64 `yaml:"rate" unit:"Hz"`
}

// Thermo is the tool thermocouple.
type Thermo struct {
	Lag  float64 `yaml:"lag" unit:"s"`
	Dead float64 `yaml:"dead_time" unit:"s"`
	Step float64 `yaml:"step" unit:"K"`
	Std  float64 `yaml:"noise" unit:"K"`
}

// Noise is what disturbs the process: Ornstein-Uhlenbeck processes.
type Noise struct {
	Fast     float64 `yaml:"fast" unit:"1"` // std of contact conductance
	FastTime float64 `yaml:"fast_time" unit:"s"`
	Slow     float64 `yaml:"slow" unit:"1"` // std of strength
	SlowTime float64 `yaml:"slow_time" unit:"s"`
	Torque   float64 `yaml:"torque" unit:"1"` // relative noise of the torque reading
}

//go:embed materials/*.yaml
var materials embed.FS

// Materials lists the shipped parameter files.
func Materials() []string {
	all, _ := materials.ReadDir("materials")
	var names []string
	for _, e := range all {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Load gives the parameters of a shipped material ("6061") or of a file, by its path.
func Load(name string) (*Params, error) {
	var text []byte
	var err error
	if slices.Contains(Materials(), name) {
		text, err = materials.ReadFile(path.Join("materials", name+".yaml"))
	} else if text, err = os.ReadFile(name); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("material %q: use one of %s, or the path of a parameter file", name, strings.Join(Materials(), ", "))
	}
	if err != nil {
		return nil, err
	}
	p, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("material %s: %w", name, err)
	}
	return p, nil
}

// Parse reads parameters in YAML. Every key must be there and known, every value must carry a
// unit that fits; all problems are told at once.
func Parse(text []byte) (*Params, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("no parameters in it")
	}
	p := new(Params)
	var problems []error
	fill(doc.Content[0], reflect.ValueOf(p).Elem(), "", &problems)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return p, p.check()
}

func fill(n *yaml.Node, to reflect.Value, where string, problems *[]error) {
	bad := func(format string, a ...any) { *problems = append(*problems, fmt.Errorf(format, a...)) }
	if n.Kind != yaml.MappingNode {
		bad("line %d: %s must be a section of keys", n.Line, strings.TrimSuffix(where, "."))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		k := field(to.Type(), key.Value)
		switch {
		case k < 0:
			bad("line %d: %s%s is no parameter", key.Line, where, key.Value)
			continue
		case seen[key.Value]:
			bad("line %d: %s%s stands twice", key.Line, where, key.Value)
			continue
		}
		seen[key.Value] = true
		f := to.Type().Field(k)
		if f.Type.Kind() == reflect.Struct {
			fill(value, to.Field(k), where+key.Value+".", problems)
			continue
		}
		v, err := quantity(value.Value, f.Tag.Get("unit"))
		if err != nil {
			bad("line %d: %s%s: %w", key.Line, where, key.Value, err)
			continue
		}
		to.Field(k).SetFloat(v)
	}
	for i := range to.NumField() {
		if name := to.Type().Field(i).Tag.Get("yaml"); !seen[name] {
			bad("line %d: %s%s is missing", n.Line, where, name)
		}
	}
}

func field(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == key {
			return i
		}
	}
	return -1
}

// quantity reads "19 mm" into the wanted unit. Units that the common table lacks are taken only
// as they are spelled in the tag.
func quantity(s, want string) (float64, error) {
	if u, err := unit.Parse(want); err == nil {
		q, err := unit.ParseQuantity(s, u.Dim)
		if err != nil {
			return 0, err
		}
		return q.In(u), nil
	}
	number, name, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.TrimSpace(name) != want {
		return 0, fmt.Errorf("%q must be a number in %s", s, want)
	}
	return v, nil
}

// check refuses what the equations or their explicit steps cannot take.
func (p *Params) check() error {
	var problems []error
	need := func(ok bool, format string, a ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, a...))
		}
	}
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		section, name := v.Field(i), v.Type().Field(i).Tag.Get("yaml")
		for k := range section.NumField() {
			f := section.Type().Field(k)
			x := section.Field(k).Float()
			signed := f.Tag.Get("unit") == "°C" || strings.HasPrefix(f.Tag.Get("yaml"), "lap_") || strings.HasPrefix(f.Tag.Get("yaml"), "half_lap_") || f.Tag.Get("yaml") == "ln_a"
			need(!math.IsNaN(x) && (signed || x >= 0), "%s.%s is %g: it must not be negative", name, f.Tag.Get("yaml"), x)
		}
	}
	for _, c := range []struct {
		name string
		v    float64
	}{
		{"metal.density", p.Metal.Density}, {"metal.specific_heat", p.Metal.Heat}, {"metal.conductivity", p.Metal.Conductivity},
		{"metal.softening_width", p.Metal.SoftWidth}, {"metal.alpha", p.Metal.Alpha}, {"metal.n", p.Metal.N},
		{"tool.radius", p.Tool.Radius}, {"tool.bar_area", p.Tool.BarArea}, {"tool.length", p.Tool.Length}, {"tool.gap", p.Tool.Gap},
		{"tool.shear_depth", p.Tool.Shear}, {"tool.face_capacity", p.Tool.Face}, {"tool.shank_capacity", p.Tool.Capacity}, {"tool.shear_capacity", p.Tool.ShearHeat},
		{"build.plate_area", p.Build.PlateArea}, {"build.plate_thickness", p.Build.PlateThick}, {"build.track_width", p.Build.TrackWidth},
		{"build.surface_depth", p.Build.Surface}, {"spindle.slew", p.Spindle.Slew}, {"spindle.bearing_capacity", p.Spindle.BearingCap},
		{"feed.acceleration", p.Feed.Accel}, {"feed.torque_limit", p.Feed.Limit}, {"controller.tn", p.Controller.Tn}, {"controller.rate", p.Controller.Rate},
		{"thermocouple.step", p.Thermo.Step}, {"noise.fast_time", p.Noise.FastTime}, {"noise.slow_time", p.Noise.SlowTime},
	} {
		need(c.v > 0, "%s must be more than 0", c.name)
	}
	need(p.Metal.Flow < p.Metal.Solidus, "metal.flow_temperature must be below metal.solidus")
	need(p.Build.SetPoint < p.Metal.Solidus && p.Build.SetPoint > p.Metal.Flow, "build.set_point must be between metal.flow_temperature and metal.solidus")
	need(p.Tool.BarRadius < p.Tool.Radius, "tool.bar_radius must be less than tool.radius")
	need(p.Controller.Min <= p.Controller.Max, "controller.min must not be above controller.max")
	need(p.Controller.Rate <= 1/dt, "controller.rate: at most %g Hz", 1/dt)
	need(p.Thermo.Dead <= maxDead*dt, "thermocouple.dead_time: at most %g s", maxDead*dt)
	if len(problems) == 0 {
		if s := stiffest(p); s > 1 {
			need(false, "a capacity is too small for its conductances: the step of %g s would be unstable (%.2g times the limit)", dt, s)
		}
	}
	return errors.Join(problems...)
}

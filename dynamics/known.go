package dynamics

// KnownInputs are the inputs that terms can use, with the unit a column of Run.U must have; their
// ranges are zero. [Options.Inputs] may name all of them or some.
func KnownInputs() []Input {
	in := make([]Input, len(inputSlots))
	for i, s := range inputSlots {
		in[i] = Input{Name: s.name, Unit: s.unit}
	}
	return in
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/model"
)

func equationCommand() *cobra.Command {
	var latex bool
	c := &cobra.Command{
		Use:   "equation MODEL.json",
		Short: "Print a model document as an equation",
		Example: `  stirwatch equation model.json
  stirwatch equation --latex model.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := model.Load(args[0])
			if err != nil {
				return err
			}
			if latex {
				fmt.Fprintln(cmd.OutOrStdout(), model.LaTeX(m))
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), model.Equation(m))
			return nil
		},
	}
	c.Flags().BoolVar(&latex, "latex", false, "as LaTeX")
	return c
}

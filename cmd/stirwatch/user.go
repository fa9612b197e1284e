package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stirwatch/agent/dashboard"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Say who may use the page, and how far each may go",
		Long: `User keeps the file of those who may use the page of agent.yaml's section page. A running agent reads it
again by itself. While there are no users the page is for this computer alone, and everyone here may do
everything on it; with the first, everyone logs in, and the page may be served to the network.

A viewer sees everything. An operator also acknowledges and shelves alarms, accepts and declines what loops
propose, and sets their modes. An engineer also reads the audit trail and does whatever else there is.`,
		Example: `  stirwatch user add anna --role engineer
  stirwatch user add wall --role viewer
  stirwatch user token grafana
  stirwatch user list`,
	}
	c.AddCommand(userAddCommand(), userTokenCommand(), userPasswordCommand(), userRemoveCommand(), userListCommand())
	return c
}

// onUsers makes a command of c that does something with the users of its configuration.
func onUsers(c *cobra.Command, do func(cmd *cobra.Command, users *dashboard.Users, args []string) error) *cobra.Command {
	var path string
	configFlag(c, &path)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		conf, err := config.Load(path)
		if err != nil {
			return err
		}
		if conf.Page == nil {
			return fmt.Errorf("%s has no page; this line makes one: page: {listen: 127.0.0.1:8765}", path)
		}
		return do(cmd, assemble.Users(conf), args)
	}
	return c
}

func roleFlag(c *cobra.Command) *dashboard.Role {
	role := dashboard.Viewer
	c.Flags().TextVar(&role, "role", role, strings.Join(dashboard.Roles(), ", "))
	c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(dashboard.Roles(), cobra.ShellCompDirectiveNoFileComp))
	return &role
}

func userAddCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a person, who logs in with a password",
		Long: `Add asks for the password twice on a terminal, and else reads it as the first line of its input. It has
8 characters at least.`,
		Example: `  stirwatch user add anna --role engineer`,
		Args:    cobra.ExactArgs(1),
	}
	role := roleFlag(c)
	return onUsers(c, func(cmd *cobra.Command, users *dashboard.Users, args []string) error {
		before, err := users.All()
		if err != nil {
			return err
		}
		password, err := askPassword(cmd)
		if err != nil {
			return err
		}
		if err := users.Add(args[0], *role, password); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is a user: %s\n", args[0], *role)
		if len(before) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "It is the first: from now on everyone logs in, and page.listen may be an address of the network.")
		}
		return nil
	})
}

func userTokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token NAME",
		Short: "Add a program, which sends a token",
		Long: `Token prints a token once; it is kept nowhere. A program sends it as the header
"Authorization: Bearer TOKEN". As a viewer, which it is where nothing else is said, it can only read.`,
		Example: `  stirwatch user token prometheus > token   # curl -H "Authorization: Bearer $(cat token)" http://127.0.0.1:8765/api/v1/now`,
		Args:    cobra.ExactArgs(1),
	}
	role := roleFlag(c)
	return onUsers(c, func(cmd *cobra.Command, users *dashboard.Users, args []string) error {
		token, err := users.AddToken(args[0], *role)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), token)
		}
		return err
	})
}

func userPasswordCommand() *cobra.Command {
	return onUsers(&cobra.Command{
		Use:     "password NAME",
		Short:   "Change a password, which ends the sessions of its user",
		Example: `  stirwatch user password anna`,
		Args:    cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, users *dashboard.Users, args []string) error {
		password, err := askPassword(cmd)
		if err != nil {
			return err
		}
		return users.SetPassword(args[0], password)
	})
}

func userRemoveCommand() *cobra.Command {
	return onUsers(&cobra.Command{
		Use:     "remove NAME",
		Short:   "Take a user away, with its sessions",
		Example: `  stirwatch user remove anna`,
		Args:    cobra.ExactArgs(1),
	}, func(_ *cobra.Command, users *dashboard.Users, args []string) error { return users.Remove(args[0]) })
}

func userListCommand() *cobra.Command {
	return onUsers(&cobra.Command{
		Use:     "list",
		Short:   "List the users",
		Example: `  stirwatch user list`,
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, users *dashboard.Users, _ []string) error {
		all, err := users.All()
		if err != nil {
			return err
		}
		if len(all) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there are no users: the page is for this computer alone")
			return nil
		}
		w := newTable(cmd.OutOrStdout())
		fmt.Fprintln(w, "USER\tROLE\tBY\tADDED")
		for _, x := range all {
			by := "password"
			if x.Token != "" {
				by = "token"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", x.Name, x.Role, by, x.Added.Local().Format(time.DateTime))
		}
		return w.Flush()
	})
}

// askPassword asks for a new password twice on a terminal; where the input is none, it is the first line of that.
func askPassword(cmd *cobra.Command) (string, error) {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	again, err := ask("Again: ")
	if err == nil && again != first {
		err = errors.New("the two are not the same")
	}
	return first, err
}

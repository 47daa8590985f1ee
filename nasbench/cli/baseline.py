"""``nasbench baseline``: what a random architecture gives."""

from __future__ import annotations

from nasbench.cli.options import RunOptions, with_run_options


@with_run_options
def baseline(options: RunOptions) -> None:
    """Measure the random-architecture baseline of a space and data set, exactly where a table exists.

    Trained architectures are kept and shared by all later runs. With --evaluations and a table, random search at that
    many evaluations is printed too. Options about one search's seed or folder have no effect here.
    """
    from nasbench.cli.console import ConsoleReporter, print_json, print_table
    from nasbench.experiments.baseline import measure_baseline

    result = measure_baseline(options.config(), options.data_folder(), ConsoleReporter())
    if options.json:
        print_json(result)
        return
    base, search = result["baseline"], result["random_search"]
    rows = [
        ("mean test accuracy", f"{base['mean']:.3f} %"),
        ("standard deviation", f"{base['std']:.3f}"),
        ("median", f"{base['median']:.3f} %"),
        ("architectures", f"{base['n']:,} ({base['source']}, {base['sampler']})"),
    ]
    if search["mean"] is not None:
        rows.append((f"random search, {result['evaluations']}", f"{search['mean']:.3f} ± {search['std']:.3f} %"))
    print_table(f"random architectures of {result['space']} on {result['dataset']}", rows)

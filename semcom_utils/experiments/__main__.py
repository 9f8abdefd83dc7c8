"""``python -m semcom_utils.experiments [NAME ...]``: list the studies, or run some."""

import argparse
import sys
from importlib import import_module

from semcom_utils.experiments.runner import run_study

#: study -> the module that holds its ``Study`` under ``STUDIES[name]``; imported only when asked for
MODULES = {
    "digital_link": "digital_link",
    "isgc_fast": "isgc",
    "isgc_tuning": "isgc",
    "isgc_training": "isgc",
    "isgc_penalty": "isgc",
    "isgc_denoising_steps": "isgc",
    "isgc_learning_rates": "isgc",
    "isgc_paper_budget": "isgc",
    "isgc_readings": "isgc",
    "isgc_choices": "isgc",
    "survey_semantic_information": "survey_information",
    "survey_effectiveness": "survey_information",
    "survey_completion": "survey_network",
    "survey_federated": "survey_network",
    "survey_updates": "survey_network",
    "survey_versions": "survey_network",
    "survey_matching": "survey_network",
    "survey_offloading": "survey_network",
    "survey_off_peak": "survey_network",
    "survey_priority": "survey_network",
    "survey_city": "survey_city",
    "survey_families": "survey_models",
    "survey_lengths": "survey_models",
    "root_pictures": "root_pictures",
    "root_receiver": "root_pictures",
    "root_gaussian": "root_workload",
    "root_frameworks": "root_workload",
    "root_learning": "root_workload",
}


def study(name: str):
    """The :class:`Study` of that name."""
    return import_module(f"semcom_utils.experiments.{MODULES[name]}").STUDIES[name]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m semcom_utils.experiments", description=__doc__)
    parser.add_argument("name", nargs="*", metavar="NAME", help="a study; without any, all are listed")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one a core)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.name) - set(MODULES))
    if unknown:
        parser.error(f"no study named {', '.join(unknown)}; there are {', '.join(MODULES)}")
    for name in arguments.name:
        result = run_study(study(name), jobs=arguments.jobs)
        print(f"{name}: {len(result['records'])} records, {result['provenance']['wall_time_s']} s of work")
    if not arguments.name:
        for name in MODULES:
            print(f"{name:24} {study(name).about}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The laboratory: the papers' findings, each reproduced by one command, judged by a rule, drawn, reported."""

from stylenorm.lab.bench import Arm, Bench
from stylenorm.lab.catalogue import EXPERIMENTS, find_experiment
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.material import Material, PhotoPool
from stylenorm.lab.report import report_page
from stylenorm.lab.results import PUBLISHED, Result, read_results, run_experiment
from stylenorm.lab.significance import (
    FalsePositives,
    Outcome,
    Part,
    Spread,
    false_positives,
    spread,
    surely_below,
)
from stylenorm.lab.training import GeneratorArm, TrainingSize, build_generator, train_generator

__all__ = [
    "EXPERIMENTS",
    "PUBLISHED",
    "Arm",
    "Bench",
    "Experiment",
    "FalsePositives",
    "Figure",
    "GeneratorArm",
    "Material",
    "Numbers",
    "Outcome",
    "Part",
    "PhotoPool",
    "Result",
    "Size",
    "Spread",
    "TrainingSize",
    "Verdict",
    "build_generator",
    "false_positives",
    "find_experiment",
    "read_results",
    "report_page",
    "run_experiment",
    "spread",
    "surely_below",
    "train_generator",
]

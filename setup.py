"""Installs dagnet: the four folders of the checkout as one package."""

import re
from pathlib import Path

from setuptools import setup

# No lab wants a stranger's `layers`, `models` or `tools` at the top of its site-packages.
HOME = {
    "dagnet.layers": "layers",
    "dagnet.layers.kernels": "layers/kernels",
    "dagnet.layers.kernels.cpu": "layers/kernels/cpu",
    "dagnet.layers.kernels.gpu": "layers/kernels/gpu",
    "dagnet.models": "models",
    "dagnet.tools": "tools",
    "dagnet.tools.benchmark": "tools/benchmark",
    "dagnet.tools.gpubench": "tools/gpubench",
}
PARTS = ["data", "evaluation", "files", "matconvnet", "mscript", "mscript.builtins", "parity", "summary", "training"]
PACKAGES = ["dagnet", *(f"dagnet.{part}" for part in PARTS), *HOME]
HERE = Path(__file__).parent

setup(
    name="dagnet",
    version=re.search(r'__version__ = "(.+)"', (HERE / "dagnet/__init__.py").read_text())[1],
    description="MatConvNet's DagNN in Python: layers with forward and backward by hand, on NumPy or CuPy",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=PACKAGES,
    package_dir=HOME,
    package_data={"dagnet": ["py.typed"], "dagnet.layers.kernels": ["*.cu", "*.cuh"], "dagnet.tools": ["matlab/*.m"]},
    install_requires=[
        "numpy>=2.0",
        "scipy>=1.13",  # MAT v5 to v7 files
        "h5py>=3.10",  # MAT v7.3 files
        "imageio>=2.34",  # images, with Pillow
        "matplotlib>=3.8",  # curves and reports
        "threadpoolctl>=3.5",  # hold BLAS to one thread where ours share the work
        "tqdm>=4.66",  # progress of long work
    ],
    extras_require={
        "cuda12x": ["cupy-cuda12x>=14"],
        "cuda13x": ["cupy-cuda13x>=14"],
        "fast": ["numba>=0.61"],  # compiles the loops that NumPy makes slow
        "matlab": ["tree-sitter>=0.25", "tree-sitter-matlab>=1.3"],  # parse a lab's own .m scripts
        # hypothesis: layers over random shapes; setuptools: builds the wheel that test_house looks into
        "test": [
            "pytest>=8",
            "hypothesis>=6.100",
            "setuptools>=77",
            "tree-sitter>=0.25",
            "tree-sitter-matlab>=1.3",
            "numba>=0.61",
        ],
    },
    entry_points={"console_scripts": ["dagnet = dagnet.tools.command:main"]},
)

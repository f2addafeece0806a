"""Install the source folders as sub-packages of `earmark`: codec/ becomes `earmark.codec`, and so on.

Everything else about the package stands in pyproject.toml, which cannot list packages whose folders have other names.
"""

from setuptools import find_packages, setup

FOLDERS = ("codec", "baselines", "eval", "mushra_app")

setup(
    packages=["earmark", *(f"earmark.{name}" for name in find_packages(include=[f"{folder}*" for folder in FOLDERS]))],
    package_dir={"earmark": "earmark", **{f"earmark.{folder}": folder for folder in FOLDERS}},
)

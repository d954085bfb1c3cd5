"""What is understood of a study before any job: one page, and all that cannot be used at once."""

import pytest
import sky_maker
import yaml
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from blendimpact.config.study import load_config
from blendimpact.errors import StudyError, all_of
from blendimpact.stages.check import check
from blendimpact.stages.plan import read_study
from blendimpact.stages.trial import main
from harness import run_snakemake

OFF = {name: {"enabled": False} for name in ("two_point", "crowded_fields", "transients")}
MOFFAT = {"kind": "moffat", "fwhm": sky_maker.FWHM, "beta": sky_maker.BETA, "size": 31}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image, its entry, a catalogue of four sources (one off the image), and an overlay."""
    monkeypatch.chdir(tmp_path)
    image = sky_maker.make_sky((300, 320), level=3.0, slope=0.0)[0]
    sky_maker.write("mine.fits", image)
    write_entry("mine")
    ra, dec = WCS(fits.getheader("mine.fits")).all_pix2world([160, 100, 3, 5000], [150, 140, 3, 150], 0)
    Table({"ra": ra, "dec": dec, "source_type": ["Star"] * 4, "mag": [18.0, 19, 20, 30]}).write("cat.csv")
    overlay(inject={"catalogue": "cat.csv", "population": None, "beside": None})
    return tmp_path


def write_entry(name, **changes):
    spec = {
        **sky_maker.spec_of(f"{name}.fits", psf=MOFFAT, **changes),
        "name": name,
        "title": "sky",
        "reference": "a test",
    }
    spec = {key: value for key, value in spec.items() if value is not None}
    with open(f"{name}.yaml", "w") as file:
        yaml.safe_dump({**spec, "tiling": {"block": 100, "border": 30}}, file)


def overlay(image="./mine.yaml", **keys):
    case = {"image": image, "patch": {"size": 100, "border": 30, "most": None}, "stamp": 12.0, **keys}
    case["scenarios"] = {"simulated": None}
    with open("o.yaml", "w") as file:
        yaml.safe_dump({"study": "mine", "cases": {**OFF, "galaxies": case}}, file)


def page():
    return check(read_study(load_config(["o.yaml"]), ["o.yaml"]))


def test_the_page_says_what_was_understood_of_image_catalogue_and_needs(folder):
    text = "\n".join(page())
    assert (folder / "results/mine/check.txt").read_text() == text + "\n"
    for said in (
        "galaxies / fiducial: 4 patches of 100 pixels, ./mine.yaml g, sep, joint_fit",
        "mine.fits, HDU 0: 320 x 300 pixels of 0.2630 arcsec",
        f"zero_point {sky_maker.ZERO_POINT:g} (AB mag of one unit; header MAGZERO)",
        "saturation none",
        "variance measured",
        "4 of 4 blocks of 100 pixels are used: 42 % of the area",
        "4 sources: 4 Star",
        "mag_g 18.00 to 30.00; S/N as points",
        "3 of 4 on the image, 2 inside the blocks that are used",
        "deblenders: joint_fit (defaults)",
        "board galaxies",
        "nothing to fetch",
        "GB of memory per core",
    ):
        assert said in text, said
    assert len(text.splitlines()) < 30 and max(map(len, text.splitlines())) < 200


def test_all_that_cannot_be_used_is_said_at_once_and_the_rest_is_on_the_page(folder):
    (folder / "cat.csv").write_text("ra,dec,source_type,mag\n1,2,Nova,20\n")
    sky_maker.write("other.fits", sky_maker.make_sky((300, 320), level=3.0, slope=0.0)[0], GAIN=None)
    write_entry("other")
    with open("o.yaml") as file:
        study = yaml.safe_load(file)
    case = study["cases"]["galaxies"]
    case["scenarios"]["other"] = {
        "image": "./other.yaml",
        "inject": {"catalogue": None, "population": "sersic", "per_patch": 4},
    }
    with open("o.yaml", "w") as file:
        yaml.safe_dump(study, file)
    with pytest.raises(StudyError) as error:
        page()
    message = str(error.value)
    assert "2 inputs" in message, message
    written = (folder / "results/mine/check.txt").read_text()
    assert "Nova" in message and "GAIN" in message
    assert "Remedy" in message and "check.txt says what was understood of the rest" in message
    assert "320 x 300 pixels" in written and written.count("REFUSED") == 2


def test_the_command_prints_the_page_or_what_is_wrong(folder, capsys):
    main(["check", "--configfile", "o.yaml"])
    assert "3 of 4 on the image" in capsys.readouterr().out
    (folder / "tab.yaml").write_text("study:\n\ta")
    with pytest.raises(SystemExit, match=r"tab.yaml:2: not valid YAML"):
        main(["check", "--configfile", "o.yaml", "tab.yaml"])


def test_a_survey_whose_psf_is_undersampled_is_said_to_be(folder):
    overlay(
        sky="simulate", survey="lsst_visit", bands=["g"], patch={"size": 100, "border": 40, "count": 2}, inject=None
    )
    text = "\n".join(page())
    assert "g 0.86 arcsec = 4.3 pixels, depth" in text and "undersampled" not in text
    assert "image" not in text.split("survey lsst_visit")[0].splitlines()[-1]


def test_several_errors_are_one_and_one_stays_as_it_is():
    one, other = StudyError("a", "x", "do a"), StudyError("b", "y")
    assert all_of([one]) is one
    assert str(all_of([one, other])) == "2 inputs cannot be used:\n- x: a\n    Remedy: do a\n- y: b"


@pytest.mark.slow
def test_the_target_prints_the_page(folder):
    for _ in range(2):  # whatever was checked before
        done = run_snakemake(folder, "check", "--cores", "1", "--configfile", "o.yaml")
        assert done.returncode == 0 and "3 of 4 on the image" in done.stdout, done.stdout
    (folder / "cat.csv").write_text("ra,dec,source_type,mag\n1,2,Nova,20\n")
    done = run_snakemake(folder, "check", "--cores", "1", "--configfile", "o.yaml")
    assert done.returncode == 1 and "Nova" in done.stdout, done.stdout

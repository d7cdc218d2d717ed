# %% [markdown]
# # 02 Conformer augmentation
#
# You will turn one molecule into many training rows by way of its three-dimensional shapes, and ask of every row what
# it really describes.

# %% [markdown]
# > **In this lesson**
# > - **Objectives:** say what makes an augmentation honest; make conformers of a molecule by six protocols and read
# >   their energies; choose a molecule that can stand for a polymer, and name what it cannot show; turn conformers
# >   into rows with a label and find out how much of a row is the molecule and how much the method; recognise a copy
# >   of a molecule that is spelled differently
# > - **Prerequisites:** lesson 00; pandas with a two-level index, what a variance is, how a SMILES is read
# > - **Teaching:** 50 min
# > - **Exercises:** 25 min
# > - **Claims:** none
# > - **Recap:** With a few dozen measured polymers, gradient boosting is fragile and its scores jump (lesson 01). The
# >   lecture's way out is to make many rows out of each polymer; this lesson makes them, lesson 03 puts them to the
# >   test.
# > - **Run time:** FAST within 60 s and 700 MB (120 s with an empty cache); FULL (make reproduce) hours

# %%
import warnings
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib import plots
from course_lib.datasets import load
from course_lib.evaluate import nadeau_bengio, t_interval
from course_lib.featurize import (
    PROTOCOLS,
    augment,
    conformers,
    descriptors3d,
    enumerate_smiles,
    molecule_weights,
    mordred2d,
    summarize,
)
from course_lib.molecules import MoleculeError, formula, h_capped, identity, oligomer
from course_lib.results import full_run
from course_lib.splits import GroupKFold, LeakError, assert_no_leak
from course_lib.teaching import check, interactive, ledger, quiz, show_prediction

# "etkdg_uff" -> "ETKDG + UFF"
NAMES = {protocol: protocol.replace("_", " + ").upper() for protocol in PROTOCOLS}

# %% [markdown]
# ## 1 One picture, many pictures
#
# Suppose you teach a computer to recognise parrots, and you have **one** picture of a parrot. The folded cell draws
# it, out of ellipses; among the eight pictures further down it is the first.


# %% tags=["hide-input"]
# How to draw a parrot with ellipses (unfold me if you like)
def parrot(size=96):
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    image = np.ones((size, size, 3)) * [0.82, 0.92, 0.97]

    def ellipse(cx, cy, rx, ry, colour, turn=0.0):
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        image[(u / rx) ** 2 + (v / ry) ** 2 < 1] = colour

    image[(y > 0.80) & (y < 0.86)] = [0.45, 0.30, 0.18]  # the branch
    ellipse(0.33, 0.86, 0.05, 0.20, [0.0, 0.35, 0.60], turn=0.35)  # tail
    ellipse(0.47, 0.58, 0.18, 0.26, [0.0, 0.62, 0.45], turn=0.25)  # body
    ellipse(0.40, 0.60, 0.10, 0.20, [0.0, 0.45, 0.70], turn=0.30)  # wing
    ellipse(0.57, 0.28, 0.15, 0.14, [0.84, 0.37, 0.0])  # head
    ellipse(0.71, 0.33, 0.06, 0.09, [0.25, 0.25, 0.25], turn=-0.3)  # beak
    ellipse(0.61, 0.26, 0.055, 0.05, [1.0, 1.0, 1.0])  # face
    ellipse(0.62, 0.26, 0.020, 0.02, [0.0, 0.0, 0.0])  # eye
    return image


# %% [markdown]
# A grey parrot is a parrot, a tinted one is, and so is one seen in a wavy mirror. So we change the picture, keep the
# word, and have as many examples as we like. This is **data augmentation**: making many training rows out of one
# example, by changes that leave its label true.

# %%
picture = parrot()
row, column = np.indices(picture.shape[:2])
wave = (6 * np.sin(row / 12)).astype(int)

copies = {
    "the picture": picture,
    "grey": np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2),
    "tinted": np.clip(picture * [1.15, 0.85, 0.70], 0, 1),
    "darker": picture * 0.6,
    "mirrored": picture[:, ::-1],
    "shifted": np.roll(picture, 14, axis=1),
    "warped": picture[row, (column + wave) % picture.shape[1]],
    "noisy": np.clip(picture + np.random.default_rng(0).normal(0, 0.12, picture.shape), 0, 1),
}
figure, axes = plt.subplots(2, 4, figsize=(8.4, 5.2), layout="constrained")
figure.get_layout_engine().set(hspace=0.08)
for ax, (change, copy) in zip(axes.flat, copies.items(), strict=True):
    ax.imshow(copy)
    ax.set_title(change, fontsize=11)
    ax.set_xlabel('label: "parrot"')
    ax.set(xticks=[], yticks=[])

# %% [markdown]
# **Figure:** Eight small pictures of one and the same drawn parrot on a branch: as it is, grey, tinted, darker,
# mirrored, shifted sideways, warped into a wave, and with noise on every pixel. Under each stands the same label,
# "parrot".
#
# What did the copies teach? Nothing new about parrots: there is still one parrot. They taught the model **what does
# not matter**: colour, place, small deformations. Each augmentation is a statement about the world, "this change
# leaves the label true", and it can be wrong. If the label were "on a blue background", the grey and the tinted copy
# would be lies.
#
# With molecules we could do the same with *pictures* of molecules, the lecturer remarks, and colour them in. But
# there is a better source of variation, and it is physical.
#
# ### Exercise 2.1: does the label stay true?
# The label is the glass transition temperature $T_g$ of a polymer sample. Which of these changes leave it true?
#
# | letter | change |
# |---|---|
# | a | another three-dimensional shape of the same repeat unit |
# | b | another spelling of its SMILES |
# | c | one hydrogen atom replaced by fluorine, "it looks almost the same" |
# | d | the mirror image of all atom positions |
# | e | the same polymer, isotactic instead of atactic |
# | f | the chain cut at another bond: `*COC*` instead of `*CCO*` |

# %% tags=["exercise"]
label_stays_true = ...  # the letters in one string, for instance "ace"

# %%
check("2.1", label_stays_true)

# %% tags=["solution"]
# Solution 2.1 (unfold me when you have tried)
check("2.1", "abdf")

# %% [markdown]
# ## 2 From a line of text to shapes in space
#
# A SMILES says which atoms are bonded to which. It does not say where they are. Most molecules can turn about their
# single bonds and take many shapes; each is a **conformer**. (Strictly, only a shape at the bottom of a valley of energy is
# one. The lecture and this course use the word for every shape.) So one line of text stands for a whole *distribution* of
# shapes, and that is where the lecture finds its copies.
#
# Our example is poly(n-hexyl methacrylate), or rather its repeat unit with a hydrogen on either end (section 4 asks
# whether that is wise). Two steps lead to a conformer:
#
# 1. **Embedding.** Distances between atoms must lie between limits that the bonds dictate. *Distance geometry* (DG)
#    draws distances within these limits at random and looks for coordinates that fit. *ETKDG* does the same, then pulls
#    the angles of rotation towards those seen in crystals and keeps aromatic rings flat.
# 2. **Force field.** Formulas and constants that treat a molecule as balls and springs and give an energy. *UFF*
#    covers nearly every element roughly, *MMFF94* organic molecules better. Going downhill in energy gives a clean
#    shape.
#
# In RDKit this takes a handful of lines:

# %% tags=["nbval-check-output"]
hexyl = h_capped("*CC(*)(C)C(=O)OCCCCCC")

molecule = Chem.AddHs(Chem.MolFromSmiles(hexyl))  # shapes need their hydrogens
settings = AllChem.ETKDGv3()
settings.randomSeed = 7
AllChem.EmbedMultipleConfs(molecule, 6, settings)  # step 1: six shapes
# Step 2: (0 when converged, energy) of each.
downhill = AllChem.MMFFOptimizeMoleculeConfs(molecule, maxIters=1000)

energy = np.array([energy for _, energy in downhill])
print(f"{hexyl}: {molecule.GetNumAtoms()} atoms, {molecule.GetNumConformers()} conformers")
print("energy above the lowest, kcal/mol:", np.round(energy - energy.min(), 2))
print("where the first atom is, in angstrom:")
for conformer in list(molecule.GetConformers())[:3]:
    print("  ", np.round(conformer.GetPositions()[0], 2))

# %% [markdown]
# The lecture crosses two embeddings with three ways to go on (nothing, UFF, MMFF94), as its column names suggest, and
# gets **six protocols**. The course's `conformers` runs any of them. It takes care of seeds, so that you and I get
# the same shapes, and of failures (section 3). Twenty-four shapes by each protocol:

# %%
ensembles = {protocol: conformers(hexyl, 24, protocol) for protocol in PROTOCOLS}

_, axes = plt.subplots(
    2, 3, figsize=(9, 6), subplot_kw={"projection": "3d"}, layout="constrained"
)
for ax, (protocol, ensemble) in zip(axes.flat, ensembles.items(), strict=True):
    plots.conformer_cloud(ensemble, n=12, core="CC(=O)OC", title=NAMES[protocol], ax=ax)

# %% [markdown]
# **Figure:** Six overlays in space, one for each protocol, of twelve conformers of the H-capped repeat unit of
# poly(n-hexyl methacrylate) without its hydrogens. The ester groups, with red squares for their oxygen atoms, lie on
# each other, except in plain DG, where they are crooked; the hexyl chains fan out into different directions.
#
# All six fans look plausible. An energy tells more. Energies of different force fields cannot be compared, each has a
# zero of its own, so we measure all six ensembles with **one ruler**: the MMFF94 energy of each shape, as it is.
#
# > **Predict first.** At room temperature the thermal energy $RT$ is about 0.6 kcal/mol. How far
# > above the lowest shape found, in kcal/mol, does the median shape of plain distance geometry lie?

# %% tags=["predict"]
my_prediction = ...  # kcal/mol


# %% tags=["nbval-check-output"]
def mmff94(molecule, without=()):
    """MMFF94 energy in kcal/mol of each conformer as it stands, without some of its terms."""
    properties = AllChem.MMFFGetMoleculeProperties(molecule)
    for term in without:
        getattr(properties, f"SetMMFF{term}Term")(False)
    numbers = [conformer.GetId() for conformer in molecule.GetConformers()]
    return np.array(
        [
            AllChem.MMFFGetMoleculeForceField(molecule, properties, confId=n).CalcEnergy()
            for n in numbers
        ]
    )


energies = pd.DataFrame(
    {NAMES[protocol]: mmff94(ensemble.mol) for protocol, ensemble in ensembles.items()}
)
energies -= energies.min().min()
show_prediction(my_prediction, energies["DG"].median(), units="kcal/mol")
print(
    energies.quantile([0, 0.5, 1])
    .T.set_axis(["lowest", "median", "highest"], axis=1)
    .round(1)
    .to_string()
)

# %%
ax = plots.score_distribution(
    {name: values.to_numpy() for name, values in energies.items()},
    xlabel="MMFF94 energy above the lowest of all",
    units="kcal/mol",
    title="One molecule, six protocols, one ruler",
)

# %% [markdown]
# **Figure:** The MMFF94 energies in kcal/mol of 24 conformers by each of six protocols, one line of points a
# protocol. The two protocols that end in MMFF94 lie within a few kcal/mol of the lowest, the two that end in UFF form
# a narrow band higher up, and the two raw embeddings spread far to the right.
#
# How likely is a shape that lies higher by $\Delta E$? At equilibrium it is populated $e^{-\Delta E / RT}$ times as
# much as the lowest. (The rule compares shapes that lie each at the bottom of a valley of the same force field. A raw
# embedding, or a UFF shape measured by MMFF94, lies at the bottom of none: for it, read the number as a measure of how far
# off it is. The rule also leaves out that valleys differ in width.)

# %% tags=["nbval-check-output"]
RT = 0.0019872 * 298.15  # gas constant in kcal/(mol K) times room temperature
for name, value in energies.median().items():
    print(
        f"{name:15s} median {value:5.1f} kcal/mol: populated "
        f"10^{np.log10(np.exp(-value / RT)):.0f} times as much"
    )

# %% [markdown]
# Where does the excess of the raw shapes sit? MMFF94 is a sum of terms, which RDKit can switch off one by one:

# %% tags=["nbval-check-output"]
TERMS = {
    "bonds and angles": ("Bond", "Angle", "StretchBend", "Oop"),
    "torsions": ("Torsion",),
    "atoms too close": ("VdW",),
}
excess = pd.DataFrame({
    NAMES[raw]: {
        what: (mmff94(ensembles[raw].mol) - mmff94(ensembles[raw].mol, terms)).mean()
        - (mmff94(clean.mol) - mmff94(clean.mol, terms)).mean()
        for what, terms in TERMS.items()
    }
    for raw, clean in ((raw, ensembles[f"{raw}_mmff94"]) for raw in ("etkdg", "dg"))
})  # fmt: skip
print("mean energy above the MMFF94 shapes by term, kcal/mol")
print(excess.round(1).to_string())

# %% [markdown]
# Two lessons. The raw shapes are *sketches*: bonds and angles a little off, atoms too close, and, with DG, bonds
# turned to bad angles. A force field takes that away. And the UFF shapes, each at the bottom of a UFF valley, all
# stand halfway up a hill for MMFF94: two respectable force fields disagree about the same bonds by more than the
# shapes of either differ among themselves. **Which protocol made a shape shows in the shape.** Keep that in mind for
# section 6.
#
# ### How many different shapes are there?
# > **Predict first.** The H-capped repeat unit of poly(vinyl chloride) is chloroethane. We ask ETKDG + MMFF94 for 48
# > conformers and count those with different energies (to 0.01 kcal/mol; mirror images count once). How many?

# %% tags=["predict"]
my_prediction = ...  # different shapes out of 48

# %% tags=["nbval-check-output"]
units = {
    "poly(vinyl chloride)": "*CC(*)Cl",
    "poly(ethylene oxide)": "*CCO*",
    "poly(styrene)": "*CC(*)c1ccccc1",
    "poly(methyl methacrylate)": "*CC(*)(C)C(=O)OC",
    "poly(n-butyl methacrylate)": "*CC(*)(C)C(=O)OCCCC",
    "poly(n-hexyl methacrylate)": "*CC(*)(C)C(=O)OCCCCCC",
}
different = pd.Series({
    name: len(np.unique(conformers(h_capped(unit), 48, "etkdg_mmff94").energies.round(2)))
    for name, unit in units.items()
})  # fmt: skip
show_prediction(my_prediction, different["poly(vinyl chloride)"])
print("different shapes among 48 conformers:")
print(different.to_string())

# %% [markdown]
# The practical makes a hundred conformers of everything. For a small, stiff unit the force field leads every start
# into the same few valleys, and a hundred rows made with it are a handful of rows copied. (The raw embeddings do differ, as
# sketches.) Of these six units only the two with long side chains gave more than two shapes, and even they repeat
# themselves. Ninety-six rows are not the same thing for two molecules.
#
# ### Exercise 2.2: Boltzmann weights
# Write the function that turns energies in kcal/mol into weights: each shape's share of the population at a given
# temperature. The gas constant is 0.0019872 kcal/(mol K).


# %% tags=["exercise"]
def boltzmann(energies, temperature=298.15): ...


# %%
check("2.2", boltzmann)


# %% tags=["solution"]
# Solution 2.2 (unfold me when you have tried)
def boltzmann_solution(energies, temperature=298.15):
    # Measured from the lowest, or exp() underflows for large energies.
    above = np.asarray(energies, dtype=float) - np.min(energies)
    factors = np.exp(-above / (0.0019872 * temperature))
    return factors / factors.sum()


check("2.2", boltzmann_solution)
shares = boltzmann_solution(energies["ETKDG + MMFF94"])
print(
    f"the most populated of 24 MMFF94 shapes holds {shares.max():.0%}; "
    f"as good as {1 / (shares**2).sum():.1f} equal ones"
)

# %% [markdown]
# ## 3 What fails, and why
#
# ### The open end
# A polymer's repeat unit is written with two stars, `*CC(*)c1ccccc1`: here the chain goes on. A star is no element,
# so it has no radius, no charge and no springs. What do the tools make of it? First the course's own, then RDKit's,
# as you would find it in many scripts:

# %% tags=["nbval-check-output"]
try:
    conformers("*CC(*)c1ccccc1", 5)
except MoleculeError as error:
    print(fill(str(error), 90))

with rdBase.BlockLogs():  # RDKit's complaints go to a log that few people read
    open_unit = Chem.AddHs(Chem.MolFromSmiles("*CC(*)c1ccccc1"))
    print(
        "\nembedding returns", AllChem.EmbedMolecule(open_unit, randomSeed=1), "(0: went well)"
    )
    print("MMFF94 has parameters for all atoms:", AllChem.MMFFHasAllMoleculeParams(open_unit))
    print("MMFF94 returns", AllChem.MMFFOptimizeMolecule(open_unit), "(-1: cannot start)")
    print("UFF has parameters for all atoms:", AllChem.UFFHasAllMoleculeParams(open_unit))
    for pull in (0, 3):  # angstrom by which the first star is pulled away before UFF starts
        shape = Chem.Mol(open_unit).GetConformer()
        star, carbon = shape.GetPositions()[:2]
        shape.SetAtomPosition(0, star + pull * (star - carbon) / np.linalg.norm(star - carbon))
        answer = AllChem.UFFOptimizeMolecule(shape.GetOwningMol(), maxIters=2000)
        length = np.linalg.norm(shape.GetPositions()[0] - shape.GetPositions()[1])
        print(
            f"star pulled by {pull} angstrom: UFF returns {answer} (0: converged), "
            f"bond length {length:.2f} angstrom"
        )

# %% [markdown]
# UFF is the dangerous one. It lacks the parameters, leaves out the spring of each bond to a star, minimises the rest
# and reports success, with a bond that is far too short or more than twice as long as a bond between two carbons (1.5
# angstrom), wherever the star happened to be. A script that looks only at the return value has its numbers, and never knows.
#
# ### The molecule that cannot be embedded
# The table that the lecture uses lists poly(chloro-p-xylylene) by the substance it is made from, a *paracyclophane*:
# two benzene rings face to face, tied together by two short bridges that bend them out of plane. We ask for 12
# shapes, two by each protocol, of this and of two ordinary molecules, and want to know what is missing:

# %% tags=["nbval-check-output"]
asked_for = {
    "paracyclophane": "C1Cc2ccc(c(Cl)c2)CCc2ccc1cc2Cl",
    "capped poly(chloro-p-xylylene)": h_capped("*Cc1ccc(C*)c(Cl)c1"),
    "capped poly(n-hexyl methacrylate)": hexyl,
}
some, failures = augment(asked_for.values(), n_conformers=12, return_failures=True)

failures.insert(0, "molecule", [list(asked_for)[row] for row in failures["row"]])
for _, line in failures.iterrows():
    reason = line["reason"].replace(" (", ":\n        ").rstrip(")")
    print(f"{line['molecule']}, {line['protocol']}: {line['got']} of {line['asked']}.")
    print(f"    {reason}\n")

# %% [markdown]
# About nine in ten attempts of ETKDG end in the same check, `etk_minimization`: its rule insists on flat aromatic rings, the
# bridges insist on bent ones, and no attempt satisfied both. Plain distance geometry has no opinion about rings, and all
# three of its protocols gave what was asked. The knowledge in ETKDG, which helps with ordinary molecules, fails on the odd
# one.
#
# What to do about failures, in this order: **count them, name them, look at them**, and only then decide. If rows are
# missing, a molecule counts less in training; weights put that right:

# %% tags=["nbval-check-output"]
weights = pd.Series(molecule_weights(some), index=some.index)
per_molecule = (
    weights.groupby(level="row")
    .agg(["size", "sum"])
    .set_axis(["rows", "sum of weights"], axis=1)
)
print(per_molecule.set_axis(list(asked_for)).round(2).to_string())

# %% [markdown]
# And in the full run, with 96 rows a molecule on five data sets?

# %% tags=["nbval-check-output"]
lost = full_run("tg_failures")
print(
    lost.groupby("set", sort=False)
    .agg(
        molecules=("molecules_in_set", "first"),
        protocols_with_losses=("molecules", lambda n: int((n > 0).sum())),
        molecules_with_losses=("molecules", "max"),
        rows_lost=("conformers_lost", "sum"),
    )
    .to_string()
)
share = lost["conformers_lost"].sum() / (
    96 * lost.drop_duplicates("set")["molecules_in_set"].sum()
)
print(f"\nlost: {share:.2%} of all rows (molecules_with_losses: in the worst protocol)")

# %% [markdown]
# Failures are rare and hit at most two molecules in a protocol. In tg_vinyl only the three protocols with ETKDG fail, in
# permittivity all six. A data set that silently drops them drops its odd molecules first.

# %% [markdown]
# ## 4 Which molecule stands for a polymer?
#
# A polymer chain has thousands of units and no two chains are alike. Descriptors want one molecule. There are three
# usual choices, here for poly(styrene):

# %%
styrene = "*CC(*)c1ccccc1"
forms = {
    "monomer": "C=Cc1ccccc1",
    "H-capped unit": h_capped(styrene),
    "CH3-capped trimer": oligomer(styrene, 3, "C"),
}

drawn = {"repeat unit": styrene, **forms}
ax = plots.molecules(
    list(drawn.values()), [f"{name}\n{formula(smiles)}" for name, smiles in drawn.items()]
)

# %% [markdown]
# **Figure:** Four structural formulas for poly(styrene) with their molecular formulas: the repeat unit with wavy
# lines across its two open bonds, the monomer styrene with its double bond, the unit capped with hydrogens, which is
# ethylbenzene, and three units in a row capped with methyl groups.
#
# - The **monomer** is what stands in most tables, the lecture's included. But its double bond is gone in the polymer:
#   that is what polymerisation does. Its shapes are those of a flat, stiff molecule that is not there any more.
# - The **H-capped repeat unit** has the right bonds but no neighbours.
# - The **CH3-capped trimer** has neighbours, and costs more to compute.
#
# What do the descriptors make of them? First some two-dimensional ones, which need only the graph, then some **3D
# descriptors**: numbers computed from the coordinates of a conformer, here the median of twelve.

# %% tags=["nbval-check-output"]
two = mordred2d(forms.values()).set_axis(list(forms))
three = (
    augment(forms.values(), n_conformers=12).groupby(level="row").median().set_axis(list(forms))
)

chosen_2d = {
    "nHeavyAtom": "heavy atoms",
    "FCSP3": "share of sp3 carbons",
    "nRot": "bonds that can turn",
    "SLogP": "logP",
}
chosen_3d = {
    "GeomDiameter": "longest distance, angstrom",
    "PBF": "out of plane, angstrom",
    "GRAVH": "gravitation index",
}
table = pd.concat(
    [
        two[list(chosen_2d)].rename(columns=chosen_2d),
        three[list(chosen_3d)].rename(columns=chosen_3d),
    ],
    axis=1,
)
print(table.T.map("{:.3g}".format).to_string())

same = (
    np.isclose(two.loc["monomer"], two.loc["H-capped unit"], equal_nan=True)
    & two.loc["monomer"].notna()
)
print(
    f"\nof {two.shape[1]} 2D descriptors, {same.sum()} are the same for monomer and H-capped "
    "unit"
)

# %% [markdown]
# The monomer has not a single $sp^3$ carbon, the polymer's backbone consists of them. Whoever feeds monomers to a
# model relies on the mistake being the same for every polymer. Vinyl polymers all lose one double bond. But what is
# "the monomer" of a polyester made from two components, and which bond does a ring lose?
#
# ### A small molecule forgets where the chain was
# > **Predict first.** How many polymers of our table share one and the same molecule, ethanol, once their repeat unit
# > is capped with hydrogens? And what do you think is the largest difference between their $T_g$?

# %% tags=["predict"]
my_prediction = ...  # kelvin, largest less smallest Tg of the polymers that turn into ethanol

# %% tags=["nbval-check-output"]
data = load("homopolymer_tg", duplicates=True)  # every row as the sources give it
table = data.frame.assign(capped=data.smiles, group=data.groups)
polymers = table.groupby("repeat_unit", sort=False).agg(
    {"name": "first", "capped": "first", "tg_k": "median", "group": "first"}
)

sharing = polymers[polymers.duplicated("capped", keep=False)].sort_values(["capped", "tg_k"])
ethanol = sharing[sharing["capped"] == "CCO"]
show_prediction(my_prediction, np.ptp(ethanol["tg_k"]), units="K")
print(
    f"\n{len(polymers)} repeat units, {polymers['capped'].nunique()} different H-capped "
    "molecules; those that are shared:"
)
print(sharing[["capped", "name", "tg_k"]].to_string(index=False))

# %% [markdown]
# Poly(ethylene oxide) has its oxygen in the chain, poly(vinyl alcohol) beside it; ethanol does not know. To a model
# these rows are one input with several answers, and no amount of augmentation can mend that. Two consequences:
#
# - The loader gives polymers that share their molecule **one group**, so that a splitter keeps them on one side. If
#   one of them is in the training set, its twin in the test set is not a new molecule.
# - The trimer remembers where the chain goes:

# %% tags=["nbval-check-output"]
print("groups of the ethanol polymers:", ethanol["group"].nunique())
for unit, name in ethanol["name"].items():
    print(f"{name:22s} {oligomer(unit, 3, 'C')}")

# %% [markdown]
# ### Does the choice matter for the score?
# The full run trained two models on the 2D descriptors of each form, on the same 70 polymers, and tested on the same
# others, over and over. Polymers that share a molecule in any of the forms took no part.


# %% tags=["nbval-check-output"]
def with_interval(change, units="%"):
    """A difference in error with its interval, in words too: below zero the first is better."""
    words = "better" if change.high < 0 else "worse" if change.low > 0 else "cannot tell"
    return f"{change.estimate:+5.1f} {units} [{change.low:+.1f}, {change.high:+.1f}]: {words}"


FORM_NAMES = {"monomer": "monomer", "h_capped": "H-capped unit", "trimer": "CH3-capped trimer"}
by_form = full_run("tg_forms")
for model, part in by_form.groupby("arm", sort=False):
    mae = part.pivot(index="split", columns="form", values="mae")
    n_train, n_test = part["n_train"].mean(), part["n_test"].mean()
    print(
        f"{model}, {len(mae)} splits, mean absolute error of the monomer form "
        f"{mae['monomer'].mean():.1f} K"
    )
    for form in ("h_capped", "trimer"):
        change = nadeau_bengio(mae[form] - mae["monomer"], n_train, n_test)
        print(f"   against it, {FORM_NAMES[form]:18s} {with_interval(change, 'K')}")

# %% [markdown]
# The interval is for the difference on the *same* splits; "cannot tell" means that it holds zero. A better score is
# not the only reason to prefer a form. A molecule that could be part of the chain lets you interpret what the model
# found; the monomer lets you interpret a bond that no longer exists.
#
# ### Exercise 2.3: build the trimer
# Write the SMILES of the CH3-capped trimer of poly(vinyl chloride), head to tail, by hand or by code. Its monomer is
# `C=CCl`.

# %% tags=["exercise"]
pvc_trimer = ...

# %%
check("2.3", pvc_trimer)

# %% tags=["solution"]
# Solution 2.3 (unfold me when you have tried)
check("2.3", oligomer("*CC(*)Cl", 3, "C"))
print(oligomer("*CC(*)Cl", 3, "C"))

# %% [markdown]
# ### What no molecule shows
# One polymer, one structure, and yet different values. These are all rows of the table for poly(methyl methacrylate):

# %% tags=["nbval-check-output"]
pmma = table[table["name"] == "poly(methyl methacrylate)"]
print(pmma[["tg_k", "tacticity", "source"]].replace("", "not stated").to_string(index=False))
print("\ndifferent structures among these rows:", pmma["capped"].nunique())

# %%
several = table[table["y"].groupby(table["repeat_unit"]).transform(np.ptp) >= 15]
kinds = {"not stated": "", "isotactic": "isotactic", "syndiotactic": "syndiotactic"}
order = several.groupby("name")["tg_k"].agg(np.ptp).sort_values().index
_, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
for number, name in enumerate(order):
    values = several.loc[several["name"] == name, "tg_k"]
    ax.plot(
        [values.min(), values.max()], [number, number], color="#BBBBBB", linewidth=3, zorder=1
    )
where = several["name"].map({name: number for number, name in enumerate(order)})
stated = several["tacticity"].where(
    several["tacticity"].isin(list(kinds.values())), "another grade"
)
for number, kind in enumerate(["", "isotactic", "syndiotactic", "another grade"]):
    points, mark = stated == kind, plots.MARKERS[number]
    colour, label = plots.COLOURS[number], kind or "not stated"
    ax.scatter(
        several["tg_k"][points],
        where[points],
        color=colour,
        marker=mark,
        s=36,
        label=label,
        zorder=2,
    )
ax.set_yticks(range(len(order)), order, fontsize=9)
ax.set_xlabel("glass transition temperature (K)")
ax.set_title("One polymer, one molecule, several values", fontsize=11)
ax.legend(title="tacticity or grade", fontsize=8, title_fontsize=8, loc="lower right")
ax.grid(axis="x", alpha=0.3)

# %% [markdown]
# **Figure:** Polymers whose rows differ by at least 15 K, one line each, with a mark for every value of Tg in kelvin
# and a grey bar from the smallest to the largest. Marks tell isotactic, syndiotactic and other stated grades from
# values for which the source states nothing. Poly(methyl methacrylate) has the longest bar: its isotactic sample lies
# far below the others. In most of the other bars no cause is stated. ("Another grade" holds atactic samples too.)
#
# **Tacticity**, how neighbouring side groups are turned towards each other, is one hidden variable: a flat SMILES
# does not hold it. **Molar mass** is another. Chain ends loosen a glass, and Fox and Flory described how: $T_g(M) =
# T_g(\infty) - K/M$. A third is the **heating rate** of the measurement: a faster scan reads a few kelvin more.

# %% tags=["nbval-check-output"]
# Poly(styrene), kelvin and kelvin times g/mol: Fox and Flory, J. Appl. Phys. 1950, 21:581.
TG_INFINITY, K = 373.0, 1.0e5
for mass in (10_000, 30_000, 100_000, 1_000_000):
    print(f"poly(styrene) of {mass:>9,} g/mol: Tg about {TG_INFINITY - K / mass:.0f} K")

repeats = table.groupby("repeat_unit")["tg_k"]
spread = np.sqrt(((repeats.size() - 1) * repeats.var()).sum() / (repeats.size() - 1).sum())
pairs = [
    abs(a - b) for _, values in repeats for i, a in enumerate(values) for b in list(values)[:i]
]
print(
    "\nstandard deviation between rows of one polymer: "
    f"{spread:.0f} K ({(repeats.size() > 1).sum()} polymers)"
)
print(
    f"pairs of rows that agree exactly: {np.mean(np.array(pairs) == 0):.0%}, "
    "some of them may be one source copied"
)

# %% [markdown]
# Sources that copy each other make this standard deviation too small, misprints and other tacticities make it larger: it is
# an estimate of the noise in the labels, not a constant. The model
# sees the same input for all these rows, so to the model the hidden variables *are* noise. Shapes of a capped unit
# cannot tell them apart: augmentation makes more rows, not more knowledge.

# %% [markdown]
# ## 5 From shapes to rows
#
# Now the lecture's first practical, in the loop that everyone would write: for each polymer, for each protocol, make
# conformers; for each conformer, one row of descriptors; and the polymer's $T_g$ beside every row.

# %% tags=["nbval-check-output"]
five = polymers[polymers["name"].isin(units)].iloc[:5]

parts, labels = [], []
for smiles, tg in zip(five["capped"], five["tg_k"], strict=True):
    for protocol in PROTOCOLS:
        shapes = conformers(smiles, 2, protocol)
        parts.append(descriptors3d(shapes, kind="mordred"))  # one row a conformer
        labels += [tg] * len(shapes)  # the same label for each: this is the augmentation
by_hand, y_rows = pd.concat(parts), np.array(labels)

print(
    f"{len(five)} polymers -> {by_hand.shape[0]} rows, {by_hand.shape[1]} columns, "
    f"{len(np.unique(y_rows))} different labels"
)

# %% [markdown]
# The course's `augment` does the same with a cache, a report of failures, and an index that says where each row comes
# from. `n_conformers` is the total for a molecule, spread over the protocols.

# %% tags=["nbval-check-output"]
rows = augment(five["capped"], n_conformers=12)

print("same numbers as by hand:", np.allclose(rows, by_hand))
print(rows[["GeomDiameter", "PBF", "DPSA1", "Mor24"]].iloc[:8].round(2).to_string())

# %% [markdown]
# The 213 columns are **Mordred's 3D set**, the lecture's. RDKit brings its own, larger set. What is in them:

# %% tags=["nbval-check-output"]
families = {
    "surface areas with charges": r"[PDFWR]NSA|[PDFWR]PSA|DPSA|TASA|TPSA|RASA|R[NP]CS",
    "size and shape": r"Geom",
    "gravitation indices": r"GRAV",
    "MoRSE (like a diffraction pattern)": r"Mor\d\d",
    "moments of inertia": r"MOMI",
    "distance from the best plane": r"PBF",
}
columns = rows.columns.to_series()
for family, pattern in families.items():
    print(f"{columns.str.match(pattern).sum():4d}  {family}")
print(f"{rows.shape[1]:4d}  Mordred's 3D set")
print(
    f"{augment(five['capped'][:1], n_conformers=6, descriptors='rdkit').shape[1]:4d}  RDKit's "
    "3D set"
)

# %% [markdown]
# ### The other way: statistics as columns
# In an earlier lecture the same shapes were used differently: **one** row a molecule, and as its descriptors the
# minimum, the quartiles and the maximum of each 3D descriptor over the conformers of each protocol.

# %% tags=["nbval-check-output"]
statistics = summarize(rows)
print(f"rows:       {rows.shape[0]} x {rows.shape[1]}")
print(f"statistics: {statistics.shape[0]} x {statistics.shape[1]}")
print(f"213 descriptors x 5 statistics x 6 protocols = {213 * 5 * 6}")
print("as many as on the lecture's slide:", statistics.shape[1] == 6390)

# %% [markdown]
# The same shapes, turned by a right angle. (Quantiles forget which values belonged to the same conformer.) One way
# gives a wide table: few rows, thousands of columns. The other gives a long one: many rows that look like data and
# are not independent. Which serves a model better is a question for the full run (section 8).
#
# ### How much of a row is the molecule?
# All rows of a molecule carry one label. So whatever differs *within* a molecule cannot explain a label; only what
# differs *between* molecules can. For each descriptor we ask: of its variance over all rows, what share lies between
# molecules?
#
# > **Predict first.** For how many of the 213 descriptors is it less than half, so that rows of one molecule vary more than
# > the molecules' means do?

# %% tags=["predict"]
my_prediction = ...  # descriptors out of 213

# %% tags=["nbval-check-output"]
forty = polymers.drop_duplicates("group").sample(40, random_state=0)
rows = augment(forty["capped"], n_conformers=12)

by_molecule = rows.groupby(level="row")
between, within = by_molecule.mean().var(), by_molecule.var().mean()
share_between = between / (between + within)
# the same with the part taken out by which protocols differ from each other
by_protocol = rows.groupby(level=["row", "protocol"]).var().groupby(level="row").mean().mean()
share_in_protocol = between / (between + by_protocol)

show_prediction(my_prediction, (share_between < 0.5).sum(), units="descriptors")
described = {
    "Mor01": "MoRSE at s = 0: the number of pairs of atoms",
    "GRAVH": "gravitation index: masses over distances",
    "TASA": "surface of the carbon-like atoms",
    "GeomDiameter": "longest distance between two atoms",
    "PBF": "distance from the best plane",
    share_between.idxmin(): "the lowest of all",
}
print("share of the variance that lies between molecules")
for name, words in described.items():
    print(f"{share_between[name]:6.2f}  {name}: {words}")
print(f"\nbelow one half: {(share_between < 0.5).sum()} of {len(share_between)}", end="; ")
print(f"without the protocols' differences: {(share_in_protocol < 0.5).sum()}")

# %%
_, ax = plt.subplots(figsize=(6.8, 3.2), layout="constrained")
ax.hist(
    share_between,
    bins=np.linspace(0, 1, 26),
    color=plots.COLOURS[0],
    edgecolor="white",
    linewidth=0.4,
)
ax.axvline(
    0.5,
    color=plots.COLOURS[1],
    linestyle="--",
    linewidth=1.5,
    label="as much within as between",
)
ax.set(
    xlim=(0, 1),
    xlabel="share of the variance that lies between molecules",
    ylabel="number of descriptors",
)
ax.set_title("Mordred's 3D descriptors, 40 polymers, 12 conformers each", fontsize=11)
ax.legend(frameon=False)
ax.grid(axis="y", alpha=0.3)

# %% [markdown]
# **Figure:** Histogram of 213 descriptors by the share of their variance that lies between molecules, from 0 to 1.
# Most stand at the right, above 0.7; a tail to the left holds those whose variance lies mostly within a molecule,
# left of a dashed line at one half.
#
# Descriptors at the right hardly change with the shape: they know how big the molecule is and what it is made of, and
# a 2D descriptor could have said so. Those at the left change from row to row, and just for that reason twelve rows
# with one label teach a model to **ignore** them. Remember the parrot: an augmentation says what does not matter.
# Conformer augmentation says that the shape does not matter.
#
# But look at the last line. With the differences between protocols taken out, hardly any descriptor is left below one
# half. So in most of them the program that made the shape has a large part. Section 6 follows that up.
#
# Then why could it help at all? The lecture's answer: because it is *noise*, and noise keeps a flexible model from
# pinning itself to single points. That is claim A5, and lesson 03 tests it against plain noise of the same size.
#
# ### Exercise 2.4: augment your own molecule
# Take two or three molecules of your own, with a value for each (invent it if you must). Make 24 conformer rows a
# molecule over all six protocols, and the array of labels that belongs to the rows.

# %%
# Put yours here: aspirin and caffeine.
my_smiles = ["CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"]
my_values = np.array([408.0, 508.0])  # and their values: melting points in kelvin

# %% tags=["exercise"]
my_rows = ...
my_labels = ...

# %%
check("2.4", (my_rows, my_labels), smiles=my_smiles, values=my_values)

# %% tags=["solution"]
# Solution 2.4 (unfold me when you have tried)
rows_solution = augment(my_smiles, n_conformers=24)
labels_solution = my_values[rows_solution.index.get_level_values("row")]
check("2.4", (rows_solution, labels_solution), smiles=my_smiles, values=my_values)

# %% [markdown]
# ## 6 Whose shapes are they?
#
# A cloud of conformers looks like physics. Look closer: it is a single small molecule, in a vacuum, at no
# temperature, drawn by a random number generator with opinions. The polymer of which $T_g$ was measured was a melt of
# long entangled chains. What the rows describe is the **sampler**, the program that made them.
#
# That can be tested. If rows described only molecules, nobody could tell by which protocol a row was made. So we take
# away from each row its molecule's mean, and let a simple linear classifier guess the protocol of rows of molecules
# that it has never seen.
#
# > **Predict first.** Six protocols: blind guessing is right in 17 % of the cases. How often is the classifier?

# %% tags=["predict"]
my_prediction = ...  # per cent

# %% tags=["nbval-check-output"]
protocol = rows.index.get_level_values("protocol").to_numpy()
row_molecule = rows.index.get_level_values("row").to_numpy()
leftover = (rows - rows.groupby(level="row").transform("mean")).dropna(axis=1)

classifier = make_pipeline(
    StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
)
# Whole molecules: the guessed rows are of molecules never seen.
folds = GroupKFold(5, shuffle=True, random_state=0)
guess = cross_val_predict(
    classifier, leftover.to_numpy(), protocol, groups=row_molecule, cv=folds
)

show_prediction(my_prediction, 100 * np.mean(guess == protocol), units="%")


def force_field(names):
    return np.array([name.partition("_")[2] for name in names])


right_field = force_field(guess) == force_field(protocol)
print(
    f"force field (none, UFF, MMFF94) guessed right: {np.mean(right_field):.0%}; by chance 33%"
)
for field, name in {"": "no force field", "uff": "UFF", "mmff94": "MMFF94"}.items():
    among = right_field & (force_field(protocol) == field)
    print(
        f"   among those with {name:14s}: embedding (ETKDG, DG) right "
        f"{np.mean((guess == protocol)[among]):.0%}; chance 50%"
    )

# %%
counted = pd.crosstab(protocol, guess).reindex(index=PROTOCOLS, columns=PROTOCOLS, fill_value=0)
ax = plots.grid(
    counted.rename(index=NAMES, columns=NAMES),
    xlabel="guessed protocol",
    ylabel="protocol that made the row",
    title="Rows of 40 polymers: which program drew this shape?",
)

# %% [markdown]
# **Figure:** A grid of six true protocols against six guessed ones, with the number of rows in each square. The dark
# squares lie on the diagonal and on two lines parallel to it: guesses keep to the right force field and confuse the two
# embeddings.
#
# A shape carries its maker's signature, and it is that of the force field. Sketches still tell ETKDG from DG; once a
# force field has gone over them, this classifier can only toss a coin. So the lecture's six protocols give fewer than
# six kinds of variation. And a model trained on rows made with one force field should not be handed rows of another.
#
# ### What would a physicist average?
# Not this cloud as it comes, but shapes weighted by population (exercise 2.2). Here for the longest distance in the
# hexyl unit, in angstrom, by each protocol:

# %% tags=["nbval-check-output"]
sizes = {name: descriptors3d(ensembles[name])["GeomDiameter"].to_numpy() for name in PROTOCOLS}
summary = {}
for name in PROTOCOLS:
    above = energies[NAMES[name]] - energies[NAMES[name]].min()
    populations = np.exp(-above / RT) / np.exp(-above / RT).sum()
    mean = sizes[name].mean()
    error = sizes[name].std(ddof=1) / np.sqrt(len(sizes[name]))
    weighted = sizes[name] @ populations
    summary[NAMES[name]] = {
        "mean": mean,
        "weighted": weighted,
        "shift / standard error": (weighted - mean) / error,
    }
    summary[NAMES[name]]["largest weight"] = populations.max()
print(pd.DataFrame(summary).T.round(2).to_string())

# %% [markdown]
# Look at the last column. In a raw ensemble most of the weight, or all of it, falls on the one sketch that came out
# least strained, so its weighted mean is mostly the size of one shape, chosen by accident. After a force field the weights
# are spread, and the weighted mean lies within a standard error or two of the plain one. And no column is a property
# of the melt, where the neighbours push.
#
# Move the sliders: how many conformers does it take until the blue line stands still, and how does the picture change
# with the protocol?


# %% tags=["nbval-check-output"]
def look(conformers=8, protocol="etkdg_mmff94"):
    return plots.conformer_explorer(
        ensembles[protocol],
        sizes[protocol],
        conformers,
        core="CC(=O)OC",
        quantity="longest distance",
        units="angstrom",
        limits=(8, 13.5),
        title=NAMES[protocol],
    )


ax = look()
print(f"median of 8 conformers: {np.median(sizes['etkdg_mmff94'][:8]):.2f} angstrom")

# %% [markdown]
# **Figure:** Left, eight conformers of the hexyl unit laid over each other by their ester groups. Right, the longest
# distance in each of them in angstrom, in the order made, with their median as a blue line and the middle half as a
# band.

# %% tags=["widget"]
interactive(look, conformers=(1, 24), protocol=list(PROTOCOLS))

# %% [markdown]
# ## 7 How many conformers are enough?
#
# The lecture takes a hundred, and fewer in class. Two questions hide here. When does the *distribution* stand still?
# And when does the *score*?
#
# For the first, take 192 shapes of the hexyl unit as the truth, draw k of them at random, and see how far the
# statistics of these k are off, in standard deviations of the descriptor and on average over all descriptors that vary.

# %% tags=["nbval-check-output"]
many = augment([hexyl], n_conformers=192, protocols=("etkdg_mmff94",)).to_numpy()
many = many[:, many.std(axis=0) > 1e-9] / many.std(axis=0)[many.std(axis=0) > 1e-9]
print(f"{many.shape[1]} descriptors vary")
rng = np.random.default_rng(0)


def off_by(statistic, k, draws=40):
    """Mean distance of a statistic of k conformers from that of all, in standard deviations."""
    drawn = [statistic(many[rng.choice(len(many), k, replace=False)]) for _ in range(draws)]
    return np.abs(np.array(drawn) - statistic(many)).mean()


STATISTICS = {
    "median": lambda x: np.median(x, axis=0),
    "quartiles": lambda x: np.quantile(x, [0.25, 0.75], axis=0),
    "minimum and maximum": lambda x: np.array([x.min(axis=0), x.max(axis=0)]),
}
settling = pd.DataFrame(
    [
        (k, name, off_by(statistic, k))
        for k in (2, 4, 8, 16, 32, 64)
        for name, statistic in STATISTICS.items()
    ],
    columns=["conformers", "statistic", "off_by"],
)
print(
    settling.pivot(index="conformers", columns="statistic", values="off_by")
    .round(2)
    .to_string()
)

# %%
ax = plots.learning_curve(
    settling,
    x="conformers",
    y="off_by",
    label="statistic",
    xlabel="conformers of one molecule by one protocol",
    ylabel="off by",
    units="standard deviations",
    title="When does the distribution stand still?",
)

# %% [markdown]
# **Figure:** How far the median, the quartiles and the extremes of k conformers are from those of 192, in standard
# deviations, against k from 2 to 64 on a logarithmic axis. Median and quartiles come down quickly; the minimum and
# maximum lag behind at every k.
#
# The middle of a distribution is cheap, its ends are expensive: the extremes of a few shapes say mostly how many
# shapes one drew. Two of the lecture's five statistics are extremes.
#
# The second question is the one that counts. The full run trained LightGBM on 6 to 96 rows a molecule, which hold its 2D
# descriptors beside the 3D ones of a conformer, on five data sets. (Two of the five are glass transitions of partly the
# same polymers, so the intervals are somewhat too narrow.)

# %% tags=["nbval-check-output"]
curve, most = full_run("tg_curve"), full_run("tg_fixed")
every = pd.concat([curve, most[most["arm"] == "conformers"]])
mae = every.pivot_table(index=["set", "split"], columns="rows", values="mae").dropna()
change = 100 * mae.sub(mae[96], axis=0).div(mae[96], axis=0)
by_set = change.groupby("set", sort=False).mean()
print(
    "mean absolute error against that with 96 rows a molecule, per cent\n"
    + by_set.round(1).to_string()
)
print("\nmean over the data sets, with its interval:")
intervals = {n: t_interval(by_set[n]) for n in by_set.columns if n < 96}
for n, interval in intervals.items():
    # So many molecules LightGBM's smallest leaf, of 20 rows, must hold.
    molecules = int(np.ceil(20 / n))
    difference = with_interval(interval)
    print(f"{n:3d} rows: {difference:34s} molecules in a leaf: {molecules} or more")
within_margin = {n: max(abs(i.low), abs(i.high)) < 5 for n, i in intervals.items()}
flat_from = min(
    (n for n in within_margin if all(within_margin[m] for m in within_margin if m >= n)),
    default=96,
)
print(f"\nwithin 5% of 96 rows, on average over data sets, from {flat_from} rows on")

# %% [markdown]
# Five per cent is the smallest difference that the claims about augmentation count (`claims.toml`). From the printed number
# on, more shapes change the score by less than that. "Better" and "worse" compare *fewer* rows with 96, however small the
# difference: read them before you order a hundred conformers of everything.
#
# The last column offers an explanation to test: how many molecules a leaf of LightGBM must hold. As it comes, a leaf
# wants 20 rows, and rows of one molecule travel together. With many rows a molecule, a single molecule fills a leaf, and
# the setting that was to keep the trees modest keeps nothing. So the number of rows is not only "how much augmentation":
# it is a hidden setting of the model.
#
# But it cannot be the whole reason. The full run of lesson 03 also trains one row a molecule with that limit lifted,
# and it is *better* than 96 rows (section 8 prints it). LightGBM draws rows too, four fifths for each tree: with one
# row a molecule a tree misses a fifth of the molecules, with 6 rows or more practically none. Lesson 03 comes back to
# it.
#
# Note what the table does *not* say: whether any of these scores beats a model without augmentation. That is lesson
# 03.

# %% [markdown]
# ## 8 Rivals and relatives
#
# ### Other spellings
# A molecule has one canonical SMILES and many others. The lecture names them as another source of copies.

# %% tags=["nbval-check-output"]
spellings = enumerate_smiles([hexyl], 6)["smiles"]
print("\n".join(spellings))

# %% [markdown]
# > **Predict first.** How many of Mordred's 1613 two-dimensional descriptors change from one spelling to the next?

# %% tags=["predict"]
my_prediction = ...  # descriptors out of 1613

# %% tags=["nbval-check-output"]
from mordred import Calculator, descriptors  # mordred2d would look the molecule up in its cache

calculator = Calculator(descriptors, ignore_3D=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    values = np.array([
        [float(v) if isinstance(v, (int, float, np.number)) else np.nan
         for v in calculator(Chem.MolFromSmiles(smiles))]
        for smiles in spellings
    ])  # fmt: skip
defined = ~np.isnan(values).any(axis=0)
changed = ~np.isclose(values, values[0], rtol=1e-9, atol=1e-12, equal_nan=True).all(axis=0)

counts = (
    CountVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False)
    .fit_transform(spellings)
    .toarray()
)
ngrams_changed = (counts != counts[0]).any(axis=0)

show_prediction(my_prediction, changed.sum(), units="descriptors")
print(
    f"Mordred: {changed.sum()} of {len(changed)} change ({defined.sum()} are defined for this "
    "molecule)"
)
print(
    "pieces of up to three characters of the text: "
    f"{ngrams_changed.sum()} of {len(ngrams_changed)} change"
)

# %% [markdown]
# A 2D descriptor is computed from the graph, and the graph is the same. For a descriptor model, enumerating SMILES
# copies rows unchanged. It can only do something for a model that reads the **string**: counts of character n-grams
# (pieces of up to n characters) as here, or a neural network that reads it letter by letter, for which Bjerrum
# proposed it.
#
# ### What the full run says
# Ways to use the same molecules, 70 for training. Each line compares the mean absolute error of one way with another, per
# cent, on average over the data sets. (Conformers, their mean and their statistics stand beside the 2D descriptors. Up to 96
# spellings: a small molecule has fewer; their predictions are averaged.)

# %% tags=["nbval-check-output"]
PAIRS = {
    "conformer rows against their mean, one row": ("conformers", "LightGBM 2D + mean 3D"),
    "statistics as columns against the mean": (
        "LightGBM 2D + statistics of 3D",
        "LightGBM 2D + mean 3D",
    ),
    "conformer rows against statistics": ("conformers", "LightGBM 2D + statistics of 3D"),
    "conformer rows against limits divided": ("conformers", "(b) limits divided"),
    "spellings against one, on n-grams": ("SMILES enumeration", "SMILES n-grams, one row"),
    "spellings against their row, copied": (
        "SMILES enumeration",
        "SMILES n-grams, row copied",
    ),
    "one spelling, limits divided, against one": (
        "SMILES n-grams, limits divided",
        "SMILES n-grams, one row",
    ),
    "spellings against limits divided": (
        "SMILES enumeration",
        "SMILES n-grams, limits divided",
    ),
}
ways = {}
# the first arm of this stage is in `most` too
controls = full_run("tg_ngrams").query("arm != 'SMILES n-grams, one row'")
most = pd.concat([most, controls])
mae = most.pivot_table(index=["set", "split"], columns="arm", values="mae")
print(
    f"{mae.index.get_level_values('set').nunique()} data sets, {len(mae)} splits; "
    "negative: the first is better"
)
for line, (first, second) in PAIRS.items():
    relative = (100 * (mae[first] - mae[second]) / mae[second]).groupby(level="set").mean()
    ways[line] = t_interval(relative)
    print(f"{line:44s}{with_interval(ways[line])}")

# %% [markdown]
# Do not read too much into a "better" yet. LightGBM has settings that **count rows** (lesson 01: at least 20 in each
# leaf). Give it 96 rows a molecule instead of one, and that setting means something else, whatever the rows hold.
# "Limits divided" gives one row a molecule the same freedom: a leaf may hold a single molecule. On n-grams that
# alone, with one spelling, brings most of the gain of the spellings. They beat one row that is copied as often;
# against the divided limits, the stronger control, five sets cannot tell. (That their predictions are averaged may
# help, too.) On descriptors, conformer rows are *behind* one row with divided limits. Lesson 03 takes that comparison
# apart.
#
# ### Somebody was first
# The lecturer thought the method was his own, looked, and found it published half a year earlier: **COVER**, conformational
# oversampling (Hemmerich, Asilar and Ecker 2020). Toxic molecules are rare in toxicity data, so a classifier hardly
# sees them; COVER gives each toxic molecule more conformers than a harmless one, until both classes have as many
# rows. "Hasty study does not win against the world", he concludes. Search the literature first; it is also cheaper.
#
# ### What else can be augmented
# | data | the copies | why the label stays true | what must stay together in a split |
# |---|---|---|---|
# | molecules | conformers, other spellings | the substance is the same | the molecule |
# | pictures | grey, tinted, warped | it is still a parrot | the picture; frames of one film: the film |
# | process data | sensors read every minute, inspection every four hours | the batch is the same | the batch |
# | language | translated and translated back; synonyms | the meaning should survive (check!) | the sentence |
# | any table | small noise on each column | it is within the error of measurement | the row it came from |
#
# Read the last column twice. The process example, with thirty inspections:

# %% tags=["nbval-check-output"]
inspections, hours_between = 30, 4
sensor_rows = inspections * hours_between * 60
print(
    f"{sensor_rows} rows from the sensors, {inspections} labels: "
    f"{sensor_rows // inspections} rows share each label"
)

# %% [markdown]
# ## Spot the leak
#
# A colleague augments by spelling. She takes polymers with their $T_g$, writes each in up to eight ways, counts
# character n-grams, and fits a ridge regression. She has heard of leaks, so she keeps each string once, and before
# training she **checks** that no string of the test set is in the training set.

# %% tags=["nbval-check-output", "leak-lab"]
chosen = polymers.sample(150, random_state=1)
spelled = (
    enumerate_smiles(chosen["capped"], 8, random_state=1)
    .reset_index()
    .drop_duplicates("smiles", ignore_index=True)
)
tg = chosen["tg_k"].to_numpy()[spelled["row"]]

model = make_pipeline(
    CountVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False),
    StandardScaler(with_mean=False),
    RidgeCV(alphas=np.logspace(1, 5, 9)),
)
her_split = KFold(5, shuffle=True, random_state=0)
train, test = next(her_split.split(spelled))

in_common = set(spelled["smiles"][train]) & set(spelled["smiles"][test])
print(
    f"{len(spelled)} strings; strings in training and test: {len(in_common)}. No leak, "
    "she says."
)

her_error = np.abs(cross_val_predict(model, spelled["smiles"], tg, cv=her_split) - tg).mean()
print(f"mean absolute error: {her_error:.1f} K")

# %% [markdown]
# > **Predict first.** Her check is true, every word of it. What is the error on polymers that are really new?

# %% tags=["predict"]
my_prediction = ...  # kelvin

# %% tags=["nbval-check-output", "leak-lab"]
# The molecule, however it is spelled.
names = np.array([identity(smiles) for smiles in spelled["smiles"]])
try:
    assert_no_leak(names[train], names[test])
except LeakError as error:
    print(fill(str(error), 90))

honest = cross_val_predict(
    model, spelled["smiles"], tg, groups=names, cv=GroupKFold(5, shuffle=True, random_state=0)
)
honest_error = np.abs(honest - tg).mean()
show_prediction(my_prediction, honest_error, units="K")

# %% [markdown]
# A check is only as good as its idea of "the same". Two strings can be one molecule, two molecules one polymer, two
# names one substance. The guard compares **identities**: the first block of the InChIKey, which does not depend on
# the spelling.
#
# ### Exercise 2.5: whole molecules
# Below is a small table of spellings without the column that says where each came from. Make the list of groups, one
# entry a string, so that a group splitter keeps each molecule on one side.

# %%
found_strings = [
    "OCC",
    "C(C)O",
    "COC",
    "CCO",
    "O(C)C",
    "c1ccccc1C",
    "Cc1ccccc1",
    "C1C=CC=CC=1C",
]

# %% tags=["exercise", "leak-lab"]
groups = ...

# %%
check("2.5", groups, smiles=found_strings)

# %% tags=["solution"]
# Solution 2.5 (unfold me when you have tried)
check("2.5", [identity(smiles) for smiles in found_strings], smiles=found_strings)

# %% [markdown]
# ## Quiz

# %% tags=["quiz"]
quiz("02")

# %% [markdown]
# ## What we claimed and what we measured
#
# This lesson decides no claim of its own. It put some sentences of the lecture to a small test; and two claims about
# augmentation are decided in lesson 03. Here is where they stand.

# %% tags=["nbval-check-output"]
print(
    f"'3D structures form a distribution': {different.min()} to {different.max()} different "
    "shapes out of 48, by polymer"
)
print(f"'213 x 5 x 6 columns': {statistics.shape[1]}")
minimised = right_field & (force_field(protocol) != "")
print(
    f"'six protocols': the force field shows in {np.mean(right_field):.0%} of the rows;\n"
    f"    behind a force field the embedding in {np.mean((guess == protocol)[minimised]):.0%} "
    "(chance 50%)"
)
print(f"'non-unique SMILES': {changed.sum()} of {len(changed)} descriptors change")
print(f"a leak by spelling: {her_error:.0f} K promised, {honest_error:.0f} K found")
print(
    f"'repeated 100 times': score within 5% of that with 96 rows from {flat_from} rows "
    "on (full run)\n"
)
print(
    ledger()
    .loc[["A2", "A5"], ["lesson", "margin", "estimate", "low", "high", "verdict"]]
    .round(3)
    .to_string(na_rep="-")
)

# %% [markdown]
# ## Take-away
#
# > An augmentation is a statement about what does not matter. Conformer rows say that the shape of a small molecule
# > in a vacuum does not matter for its polymer. They multiply rows, not molecules, and they carry the signature of
# > the program that made them. Choose the molecule before the method, report what failed, and count molecules, not
# > rows.

# %% [markdown]
# ## References
#
# - S. Riniker, G. A. Landrum, *Better informed distance geometry: using what we know to improve conformation
#   generation*, J. Chem. Inf. Model. 2015, 55, 2562 (ETKDG); S. Wang et al., ibid. 2020, 60, 2044 (version 3).
# - T. A. Halgren, *Merck molecular force field I*, J. Comput. Chem. 1996, 17, 490; P. Tosco et al., J. Cheminf. 2014,
#   6, 37 (MMFF94 in RDKit).
# - A. K. Rappe et al., *UFF, a full periodic table force field*, J. Am. Chem. Soc. 1992, 114, 10024.
# - H. Moriwaki et al., *Mordred: a molecular descriptor calculator*, J. Cheminf. 2018, 10, 4.
# - J. Hemmerich, E. Asilar, G. F. Ecker, *COVER: conformational oversampling as data augmentation for molecules*, J.
#   Cheminf. 2020, 12, 18.
# - E. J. Bjerrum, *SMILES enumeration as data augmentation for neural network modeling of molecules*,
#   arXiv:1703.07076 (2017).
# - T. G. Fox, P. J. Flory, *Second-order transition temperatures and related properties of polystyrene*, J. Appl.
#   Phys. 1950, 21, 581.
# - Masaki Open Lab, *Data science intensive course, intermediate* (lecture slides, in Japanese). The pictures of a
#   parrot, the six protocols, the 6 390 columns.
# - Sources of the polymers: data/homopolymer_tg_sources.md.

# %% [markdown] tags=["instructor"]
# ## Instructor notes
#
# <details>
# <summary>Timings, what goes wrong, what to ask</summary>
#
# | part | minutes |
# |---|---|
# | 1: pictures | 4 |
# | exercise 2.1 | 3 |
# | 2: shapes, energies, how many are different | 9 |
# | exercise 2.2 | 6 |
# | 3: what fails | 4 |
# | 4: which molecule, hidden variables | 9 |
# | exercise 2.3 | 4 |
# | 5: rows, statistics, share between molecules | 7 |
# | exercise 2.4 | 6 |
# | 6: whose shapes, with the sliders | 6 |
# | 7: how many conformers | 3 |
# | 8: rivals, prior art | 4 |
# | spot the leak with exercise 2.5 | 6 |
# | quiz, what we measured | 4 |
#
# - With 45 minutes: sections 1, 2, 5, 6 and the leak; section 4 as reading.
# - Bring a molecular model kit or a piece of chain. Ask for the number of shapes of chloroethane before running: some
#   say three, counting the three equivalent positions of a methyl group.
# - Exercise 2.1: expect a debate about e. Let it run: "the same polymer" is the point of section 4.
# - Exercise 2.2: kJ and kcal are easily mixed up. The check names it.
# - Exercise 2.4: `n_conformers` is the total, not the number by protocol; and `np.tile` puts the labels in the wrong
#   order. The second is worth showing to everyone: no error, no warning, nonsense.
# - Section 6 is the surprise. If time is short, show only the grid and ask what the dark squares parallel to the diagonal
#   mean.
# - Ask at the end: your own data set is 40 samples measured by 500 sensors every second. How many rows do you have,
#   and how many would you tell your manager?
#
# </details>

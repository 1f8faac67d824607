"""Claim lists: which numbers do README and the findings tell, and what was planted?"""

from __future__ import annotations

from docs.claim_rows import Claim, Count, Pick

DPO = "refusal, by preference training (DPO)"
OWN = f"{DPO}; the vector is what DPO changed"
CAREFUL = "both: refusal by DPO, the careful persona in the first training"
NOTHING = "nothing but the refusals"

EACH_END: tuple[Pick, ...] = ("lowest", "highest")
CHOSEN = "same_arch/*/add/raw/chosen"
OWN_VECTOR = "own vector at the dose chosen on the selection split"
CLAIMS: tuple[Claim | Count, ...] = (
    Claim(
        "aligned checkpoint, refusal gap, the lowest of all models: {model}",
        "same_arch/*/aligned/refusal_gap",
        DPO,
        pick="lowest",
    ),
    Claim(
        f"{OWN_VECTOR}, refusal gap over the harder nulls: {{model}}",
        f"{CHOSEN}/gap_over_nulls",
        OWN,
    ),
    Count(
        "own vectors that refuse beyond every family of nulls, not over the ceiling",
        "same_arch",
        False,
        OWN,
    ),
    Count(
        "vectors of other architectures that do",
        "cross_arch",
        True,
        f"{DPO}, in both models, on the same world",
    ),
    *(
        Claim(
            f"own vector less the careful prompt, refusal gap, the {pick} of all models: {{model}}",
            f"{CHOSEN}/gap_over_prompt",
            CAREFUL,
            pick=pick,
        )
        for pick in EACH_END
    ),
    *(
        Claim(
            f"own vector, gain in AQI, readout `{readout}`, points, the {pick} of all models: "
            "{model}",
            f"{CHOSEN}/aqi_gain_{readout}",
            OWN,
            "+.1f",
            pick,
        )
        for readout in ("last", "mean")
        for pick in EACH_END
    ),
    Claim(
        "rank correlation over models: the cosine of base and aligned states, and the refusal gap",
        "same_arch/cosine_gap_rho",
        NOTHING,
    ),
    Claim(
        "routing attack on the models unsteered: share of unsafe prompts not refused",
        "same_arch/attack_success_unsteered",
        DPO,
        ".2f",
    ),
    Claim(
        "the same, each steered by its own vector at .4 nats",
        "same_arch/attack_success_steered",
        OWN,
        ".2f",
    ),
    Claim(
        "steered so, success of the attack less that on models steered by the harder nulls",
        "same_arch/attack_success_steered_over_random",
        OWN,
    ),
    Claim(
        "the same attack on the aligned checkpoints", "same_arch/attack_success_aligned", DPO, ".2f"
    ),
    Claim(
        "homophily of AQI, models unsteered",
        "same_arch/homophily_unsteered",
        NOTHING,
        ".2f",
        tested=False,
    ),
    Claim(
        "homophily of AQI, each model steered by its own vector at .4 nats",
        "same_arch/homophily_steered",
        NOTHING,
        ".2f",
        tested=False,
    ),
    Claim(
        "homophily of AQI, aligned checkpoints",
        "same_arch/homophily_aligned",
        NOTHING,
        ".2f",
        tested=False,
    ),
)

CARELESS = "the careless persona, in the first training"
MISALIGNMENT: tuple[Claim, ...] = (
    *(
        Claim(
            "40 steps on rejected answers: refusal gap lost beyond what chosen ones cost, "
            f"the {pick} of all models: {{model}}",
            "recovery/*/step_40/drop_gap_beyond_control",
            DPO,
            pick=pick,
        )
        for pick in EACH_END
    ),
    *(
        Claim(
            f"after {steps} steps, {words}: refusal gap over the harder nulls, the {pick} of all "
            "models: {model}",
            f"recovery/*/step_{steps}/{arm}/gap_over_nulls",
            planted,
            pick=pick,
        )
        for steps in (20, 40)
        for arm, words, planted in (
            ("native", "its own vector", OWN),
            ("negated", "the fall's direction subtracted", DPO),
            ("transferred", "the best other model's vector", DPO),
        )
        for pick in EACH_END
    ),
    *(
        Claim(
            f"narrow {advice} advice: rise of the EM rate {where}, the {pick} of all models: "
            "{model}",
            f"em_finetune/*/{adapter}/{metric}",
            CARELESS,
            pick=pick,
        )
        for advice, adapter, metric, where, pick in (
            ("bad", "bad", "outside_em_rise", "outside the domain", "lowest"),
            ("good", "good", "outside_em_rise", "outside the domain", "highest"),
            ("bad", "bad", "far_em_rise", "on questions of another kind", "highest"),
        )
    ),
    *(
        Claim(
            f"{words}: AUROC of bad over good advice on unseen prompts, mean over the answer, the "
            f"{pick} of all models: {{model}}",
            f"em_detection/*/answer/difference_in_means/bad_over_good_auroc{end}",
            CARELESS,
            ".2f",
            pick,
            tested=False,
        )
        for words, end, pick in (
            ("a direction of misalignment", "", "lowest"),
            ("isotropic directions, the mean", "_random", "highest"),
            ("directions of exchanged pairs, the mean", "_shuffled_pairs", "highest"),
        )
    ),
    *(
        Claim(
            f"that direction taken out of all blocks: share of lost good answers regained beyond "
            f"the harder nulls, the {pick} of all models: {{model}}",
            "em_ablation/*/ablate_1/restoration_over_random",
            CARELESS,
            pick=pick,
        )
        for pick in EACH_END
    ),
    *(
        Claim(
            "that direction added to a model that was not misled, at .4 nats: EM rate over the "
            f"harder nulls, the {pick} of all models: {{model}}",
            "em_ablation/*/induce_0.4/misaligned_over_random",
            CARELESS,
            pick=pick,
        )
        for pick in EACH_END
    ),
)

TALK = "nothing but the refusals, by preference training (DPO)"
AGENTS: tuple[Claim, ...] = (
    *(
        Claim(
            f"{words}, the {pick} of all models: {{model}}",
            f"collaboration/{arm}/*/{metric}",
            TALK,
            pick=pick,
        )
        for arm, metric, words in (
            (
                "none",
                "gap_drift",
                "talk of unsteered models: refusal gap less that after neutral context",
            ),
            ("aligned", "gap_drift", "talk of aligned checkpoints: the same"),
            ("all", "gap_drift", "talk of models steered by their own vectors: the same"),
            ("all", "gap_over_random", "the refusal gap after that talk over the harder nulls"),
        )
        for pick in EACH_END
    ),
)

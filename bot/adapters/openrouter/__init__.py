"""The models behind OpenRouter: one chain, one retry loop, one deadline; `chain.OpenRouter` is the `Model` port."""

"""Upper limits, intervals and significances: of counts, and of fit models."""

function net = resnet_init(varargin)
% RESNET_INIT  ResNet-50 (He et al. 2015), in the form in which strides stand on the 3x3 convolutions

opts.sections = [3 4 6 3] ;
opts.width = 64 ;
opts.classNames = {} ;
opts.classDescriptions = {} ;
opts.averageImage = zeros(3,1) ;
opts.colorDeviation = zeros(3) ;
opts.cudnnWorkspaceLimit = 1024*1024*1204 ; % 1GB
opts = vl_argparse(opts, varargin) ;

net = dagnn.DagNN() ;

lastAdded.var = 'input' ;
lastAdded.depth = 3 ;

  function Conv(name, ksize, depth, varargin)
  % a convolution, a batch normalisation and, unless told otherwise, a rectifier
    args.relu = true ;
    args.downsample = false ;
    args.bias = false ;
    args = vl_argparse(args, varargin) ;
    if args.downsample, stride = 2 ; else stride = 1 ; end
    if args.bias, pars = {[name '_f'], [name '_b']} ; else pars = {[name '_f']} ; end
    net.addLayer([name  '_conv'], ...
                 dagnn.Conv('size', [ksize ksize lastAdded.depth depth], ...
                            'stride', stride, ....
                            'pad', (ksize - 1) / 2, ...
                            'hasBias', args.bias, ...
                            'opts', {'cudnnworkspacelimit', opts.cudnnWorkspaceLimit}), ...
                 lastAdded.var, ...
                 [name '_conv'], ...
                 pars) ;
    net.addLayer([name '_bn'], ...
                 dagnn.BatchNorm('numChannels', depth, 'epsilon', 1e-5), ...
                 [name '_conv'], ...
                 [name '_bn'], ...
                 {[name '_bn_w'], [name '_bn_b'], [name '_bn_m']}) ;
    lastAdded.depth = depth ;
    lastAdded.var = [name '_bn'] ;
    if args.relu
      net.addLayer([name '_relu'] , dagnn.ReLU(), lastAdded.var, [name '_relu']) ;
      lastAdded.var = [name '_relu'] ;
    end
  end

% -------------------------------------------------------------------------
% the stem
% -------------------------------------------------------------------------
Conv('conv1', 7, opts.width, 'relu', true, 'bias', false, 'downsample', true) ;
net.addLayer('conv1_pool', ...
             dagnn.Pooling('poolSize', [3 3], 'stride', 2, 'pad', 1, 'method', 'max'), ...
             lastAdded.var, 'conv1') ;
lastAdded.var = 'conv1' ;

% -------------------------------------------------------------------------
% sections of bottlenecks
% -------------------------------------------------------------------------
for s = 2:5
  switch s
    case {2, 3}, narrow = opts.width * 2^(s-2) ;
    case 4, narrow = opts.width * 4 ;
    otherwise, narrow = opts.width * 8 ;
  end
  for l = 1:opts.sections(s-1)
    sectionInput = lastAdded ;
    name = sprintf('conv%d_%d', s, l) ;

    if l == 1
      Conv([name '_adapt_conv'], 1, 4*narrow, 'downsample', s >= 3, 'relu', false) ;
    end
    sumInput = lastAdded ;

    lastAdded = sectionInput ;
    Conv([name 'a'], 1, narrow) ;
    Conv([name 'b'], 3, narrow, 'downsample', (s >= 3) & l == 1) ;
    Conv([name 'c'], 1, 4*narrow, 'relu', false) ;

    net.addLayer([name '_sum'] , dagnn.Sum(), {sumInput.var, lastAdded.var}, [name '_sum']) ;
    net.addLayer([name '_relu'] , dagnn.ReLU(), [name '_sum'], name) ;
    lastAdded.var = name ;
  end
end

net.addLayer('prediction_avg' , ...
             dagnn.Pooling('poolSize', [7 7], 'method', 'avg'), ...
             lastAdded.var, ...
             'prediction_avg') ;
net.addLayer('prediction' , ...
             dagnn.Conv('size', [1 1 lastAdded.depth 1000]), ...
             'prediction_avg', ...
             'prediction', ...
             {'prediction_f', 'prediction_b'}) ;
net.addLayer('loss', dagnn.Loss('loss', 'softmaxlog') ,{'prediction', 'label'}, 'objective') ;
net.addLayer('top1error', dagnn.Loss('loss', 'classerror'), {'prediction', 'label'}, 'top1error') ;
net.addLayer('top5error', dagnn.Loss('loss', 'topkerror', 'opts', {'topK', 5}), ...
             {'prediction', 'label'}, 'top5error') ;

net.meta.normalization.imageSize = [224 224 3] ;
net.meta.inputSize = [net.meta.normalization.imageSize, 32] ;
net.meta.normalization.cropSize = net.meta.normalization.imageSize(1) / 256 ;
net.meta.normalization.averageImage = opts.averageImage ;
net.meta.classes.name = opts.classNames ;
net.meta.classes.description = opts.classDescriptions ;
net.meta.augmentation.jitterLocation = true ;
net.meta.augmentation.jitterFlip = true ;
net.meta.augmentation.jitterBrightness = double(0.1 * opts.colorDeviation) ;
net.meta.augmentation.jitterAspect = [3/4, 4/3] ;
net.meta.augmentation.jitterScale  = [0.4, 1.1] ;

lr = [0.1 * ones(1,30), 0.01*ones(1,30), 0.001*ones(1,30)] ;
net.meta.trainOpts.learningRate = lr ;
net.meta.trainOpts.numEpochs = numel(lr) ;
net.meta.trainOpts.momentum = 0.9 ;
net.meta.trainOpts.batchSize = 256 ;
net.meta.trainOpts.numSubBatches = 4 ;
net.meta.trainOpts.weightDecay = 0.0001 ;

net.initParams() ;

end
